"""Taylor's dispersion in a channel.

    -lap u + b.grad u = 1  for 0 < x1 < 20, 0 < x2 < 1,   b = Pe (6 x2 (1 - x2) - 1, 0),   Pe = 10,
    n.grad u = 0  at the walls,   u = 0  at both ends

b is what a parabola of velocities is faster than in the mean. From far away the channel diffuses along its length by
1 + Pe^2/210 (Taylor 1953): u_0 = x1 (20 - x1) / (2 (1 + Pe^2/210)), but for layers at its ends.
"""

import homog

Pe = 10
problem = homog.Problem(
    "1",
    forcing="1",
    velocity=[f"{Pe}*(6*x2*(1 - x2) - 1)", "0"],
    boundary={"x1": {"value": 0}, "x2": {"flux": 0}},
    domain=homog.Box((0.0, 0.0), (20.0, 1.0)),
    eps=0.25,  # of the width, which walkers resolve
    name="channel",
)
u = homog.solve(problem)
truth = homog.reference(problem)

x1 = truth.places.axes[0][:, None]
taylor = x1 * (20 - x1) / (2 * (1 + Pe**2 / 210)) + 0 * truth.fine
alone = x1 * (20 - x1) / 2 + 0 * truth.fine
floor = homog.relative_l2(taylor, truth.fine)
print(f"|u - u_eps| = {u.error(truth):.2e}, told {u.error_estimate:.1e}")
print(f"Taylor's limit: {floor:.2e}; without the flow: {homog.relative_l2(alone, truth.fine):.2e}")
u.plot(truth).savefig("channel.png")

assert u.error(truth) < floor
