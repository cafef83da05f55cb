"""What turns in each cell makes heat spread faster.

    -lap u + b.grad u = f,   b = Pe/eps (sin(2 pi x1/eps) cos(2 pi x2/eps), -cos(2 pi x1/eps) sin(2 pi x2/eps))

The flow leads nowhere: from far away there is a* in place of b. For small Pe it grows like 1 + Pe^2 / (32 pi^2), for
large Pe like the root of Pe, since heat crosses thin layers between the cells (Childress 1979).
"""

import matplotlib.pyplot as plt
import numpy as np

import homog

numbers = [3.0, 10.0, 30.0, 100.0, 300.0]
flow = ["Pe/eps*sin(2*pi*x1/eps)*cos(2*pi*x2/eps)", "-Pe/eps*cos(2*pi*x1/eps)*sin(2*pi*x2/eps)"]
found = [
    homog.effective_tensor(
        homog.Problem("1", forcing="1", velocity=flow, eps=0.1, parameters={"Pe": number}, name="cellular flow")
    )
    for number in numbers
]
values = np.array([tensor.value[0, 0] for tensor in found])
widths = np.array([tensor.half_width()[0, 0] for tensor in found])
for number, value, width in zip(numbers, values, widths, strict=True):
    print(f"Pe = {number:g}: a*_11 = {value:.4f} +- {width:.4f} (95 %)")

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
axes.errorbar(numbers, values, widths, fmt="o", capsize=4, label="by walkers, 95 %")
small, large = np.geomspace(2, 20), np.geomspace(40, 400)
axes.plot(small, 1 + small**2 / (32 * np.pi**2), color="black", linewidth=1, label="$1 + Pe^2/32\\pi^2$")
axes.plot(large, values[-1] * np.sqrt(large / 300), color="black", linewidth=1, linestyle=":", label="$\\sqrt{Pe}$")
axes.set(xscale="log", yscale="log", xlabel="$Pe$", ylabel="$a^*_{11}$")
axes.legend()
figure.savefig("cellular_flow.png")

assert abs(values[0] - 1 - 9 / (32 * np.pi**2)) < 0.01
assert 0.35 < np.log(values[4] / values[3]) / np.log(3) < 0.6
