"""Published or independently computed numbers that rules must give, with where they are from."""

from __future__ import annotations

# a, b+, b- of Lu et al. 2020 for x ~ N(0, 1), computed with mpmath to 25 digits from the moments of each function.
GAUSSIAN_POINCARE = {
    "relu": (2**0.5, 0.0, -1.12837916709551),
    "tanh": (1.46741359163, 0.388541670067, -0.388541670067),
    "gelu": (1.48111441271, 0.0738770773149, -0.909506401007),
    "silu": (1.62332025795, 0.082885394802, -0.75370938842),
    "mish": (1.44475523255, 0.0727378903073, -0.767387441616),
    "elu": (1.22342855755, 0.0742203456816, -0.466991250053),
    "selu": (0.966025776974, 0.258445735546, -0.258445735546),
    "softplus": (1.84622854534, -1.21517391909, -1.76116502797),
    "sigmoid": (4.72264608594, -2.18104376893, -2.54160231701),
    "sin": (1.32725060028, 0.488268209127, -0.488268209127),
    "leaky_relu_0.2": (1.38675049056, 0.0, -0.885173444885),
    "hardtanh": (1.21028706243, 0.494044665729, -0.494044665729),
    "erf": (1.32521835286, 0.429114993688, -0.429114993688),
    "softsign": (2.09578060894, 0.442886193521, -0.442886193521),
    "hardswish": (1.67007636744, 0.112618084569, -0.667807251848),
}

# exp(-E[log] / 2) with psi and the binomial law, computed with mpmath; Sussillo & Abbott 2014 fit the same.
RANDOM_WALK = {
    ("linear", 4): 1.14474444817706,
    ("linear", 16): 1.03241429161190,
    ("linear", 64): 1.00788410327829,
    ("linear", 256): 1.00195758168211,
    ("relu", 8): 1.72626864268918,
    ("relu", 16): 1.54461123751632,
    ("relu", 32): 1.47379940307770,
    ("relu", 64): 1.44286091579780,
    ("relu", 128): 1.42827409848882,
    ("relu", 256): 1.42118057914639,
    ("relu", 512): 1.41768155558053,
}

LOG_NORM = {
    4: (-0.270362845461478, 0.644934066848226),
    16: (-0.0638000637242259, 0.133137014694031),
    64: (-0.0157063722647393, 0.0317433665203021),
    256: (-0.00391133623197765, 0.00784309705001462),
    1024: (-9.76880391317536e-4, 0.00195503359039530),
}
"""Mean and variance of log(|W x|^2 / |x|^2), W normal of std 1 / sqrt(n): psi(n/2) + log(2/n) and psi_1(n/2)."""

FUSS_CATALAN = {1: (2, 5), 2: (3, 12), 3: (4, 22), 5: (6, 51), 10: (11, 176)}
"""Second and third moment of the squared singular values of a product of so many normal matrices, in the limit of
width: C((L + 1) k, k) / (L k + 1)."""

CLIP_TEMPERATURE = 2.65926003693278
"""log(1 / 0.07), Radford et al. 2021."""

SPLINE_BIAS = 0.541324854612918
"""log(e - 1), Durkan et al. 2019."""

RETINANET_BIAS = -4.59511985013459
"""-log(99), torchvision's RetinaNet at the prior 0.01."""

SIGMOID_KUMAR = 3.57770876399966351
"""sqrt(12.8), Kumar 2017's "3.6"."""

SIREN_FIXED_POINT = 0.796812130020020046
"""The solution of q = 1 - exp(-2 q)."""

# DeepNorm for an encoder of 6 layers alone: (12)^(1/4) and (48)^(-1/4), as in the paper's table.
DEEP_NORM_6 = (1.861209718204198, 0.3799178428257963)
