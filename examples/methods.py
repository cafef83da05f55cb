"""Methods compared on one problem: walkers' energy, the paper's derivative-free loss, and the baselines.

    -div(a grad u) = 10  in the unit square,   u = 0  on its boundary,
    a = 1 + 0.9 sin(2 pi x1/eps) cos(2 pi x2/eps),   eps = 0.05

Methods that take derivatives at points see the medium point by point. With a smooth network the energy at points finds
the mean of a in place of a*: 11 % off, and the warning that it gives is right. Walkers average first.
"""

import matplotlib.pyplot as plt

import homog

problem = homog.Problem("1 + 0.9*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", forcing="10", eps=0.05, name="linear")
truth = homog.reference(problem)
few = homog.AdamCosine(iterations=200)
answers = {
    "energy": homog.solve(problem, quiet=True),
    "DFLM": homog.solve(problem, method=homog.DFLM(points=400), optimizer=few, quiet=True),
    "Deep Ritz": homog.solve(problem, method=homog.DeepRitz(), optimizer=few, quiet=True),
}
errors = {name: u.error(truth) for name, u in answers.items()}
naive = homog.relative_l2(truth.mean_coefficient, truth.fine)
for name, error in errors.items():
    print(f"{name}: {error:.1e}")
print(f"the mean of a in place of a*: {naive:.1e}")

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
axes.bar(list(errors), list(errors.values()))
axes.axhline(naive, color="black", linestyle=":", label="mean of a in place of a*")
axes.set(ylabel="relative $L^2$ error", yscale="log")
axes.legend()
figure.savefig("methods.png")

assert errors["energy"] < 0.015
assert errors["Deep Ritz"] > naive / 2
