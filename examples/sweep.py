"""A sweep over dt/Dt, read back from MLflow.

    homog-run -m eps=0.1 timestep=ratio timestep.macro_step=4e-3 timestep.ratio=0.25,0.0625,0.015625

With long micro steps the walkers step over the medium, and find its mean. Each job is a run in MLflow, below that of
the sweep, with all settings as parameters.
"""

import os
import subprocess
import sys

import matplotlib.pyplot as plt
import mlflow

home = os.path.abspath(os.environ.setdefault("HOMOG_HOME", "outputs"))
command = [sys.executable, "-m", "homog", "-m", "eps=0.1", "timestep=ratio", "timestep.macro_step=4e-3"]
command += ["timestep.ratio=0.25,0.0625,0.015625", "reference=homogenized", "evaluation.grid=101", "name=by ratio"]
subprocess.run([*command, "force=true"], check=True)

mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
runs = mlflow.search_runs(experiment_names=["homog"], filter_string="metrics.rel_l2_homogenized > 0")
runs = runs[runs["tags.mlflow.runName"].str.startswith("by ratio")].head(3)  # the newest come first
ratios, errors = runs["params.timestep.ratio"].astype(float), runs["metrics.rel_l2_homogenized"]
noise = runs["metrics.rel_l2_standard_error"]
for row in sorted(zip(ratios, errors, noise, strict=True)):
    print("dt/Dt = {:.4f}: |u - u_0| = {:.1e}, noise = {:.1e}".format(*row))

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
axes.errorbar(ratios, errors, noise, fmt="o", capsize=4)
axes.set(xlabel="dt/Dt", ylabel="relative $L^2$ distance from $u_0$", xscale="log", yscale="log")
figure.savefig("sweep.png")

assert sorted(ratios) == [0.015625, 0.0625, 0.25]
assert errors[ratios.idxmax()] > 5 * errors[ratios.idxmin()]
