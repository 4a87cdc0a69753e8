"""Every threshold of the checks, with its reason. A check compares with these names only."""

from __future__ import annotations

# --- what makes a signal vanish or explode -------------------------------------------------------------------------
# PyTorch's default start loses about 0.41 a ReLU layer (1/sqrt(6)): four layers keep 3 %, eight keep 8e-4, ten 1e-4.
# A stack of eight is where training visibly slows, and one of ten or more hardly starts.
VANISH_WARNING = 1e-3
VANISH_ERROR = 1e-4
# The same distances upwards. A healthy residual stream grows with the square root of its sums: 1e3 would be 1e6 sums.
EXPLODE_WARNING = 1e3
EXPLODE_ERROR = 1e4
# A signal that grew from nearly nothing to a moderate size has not exploded: it must be large in itself, too.
EXPLODE_RMS = 100.0
# A norm gives a signal its size back unless its epsilon (1e-5 under the root, so 3e-3) outweighs the variance: an
# output of at least a tenth means that it did not.
NORM_RESTORES = 0.1
# Decades of gradient growth that one norm is charged with at most. In a stack of norms that explodes, each adds less.
NORM_CHARGE = 1.0
# Batch norm's epsilon, 1e-3 in Keras, outweighs the variance of data whose standard deviation is below this.
FLAT_DATA = 0.03

# --- inputs that become one ---------------------------------------------------------------------------------------
# 1 - cosine is half the squared relative difference: 1e-5 is a difference of 0.45 %, what bfloat16 resolves; 1e-7 of
# 0.045 %. PyTorch's default start has left, with ReLU, 7e-3 after five layers, 5e-6 after ten; with GELU 1e-6 after
# eight; with sigmoid 1e-5 after three.
COLLAPSE_WARNING = 1e-5
COLLAPSE_ERROR = 1e-7
# An output this close to the same for every input carries nothing of it.
CONSTANT_OUTPUT = 1e-7
# Some signal must tell the inputs apart by this much; else the batch itself is one input repeated.
INPUTS_DIFFER = 1e-3
# Cosines are averaged in float32: below this 1 - cosine is rounding.
COSINE_NOISE = 1e-9

# --- units ---------------------------------------------------------------------------------------------------------
# A ReLU unit with symmetric weights is silent on half of all inputs. Where the inputs look alike to the layer, half
# of its units are so for the whole batch: that is the most that chance makes.
DEAD_CHANCE = 0.5
DEAD_WARNING = 0.6
DEAD_ERROR = 0.9
# So many standard errors of that half are added: 16 units must be dead in 88 %, 1000 in 60 %.
DEAD_SIGMAS = 3.0
DEAD_MIN_UNITS = 8
# tanh of unit-variance inputs has 0.5 % of its elements on a flat end, of variance 100 about three quarters.
SATURATED_WARNING = 0.7
SATURATED_ERROR = 0.9
# A gate that stands open or shut is meant so (forget bias, prior bias of an output): only when nothing moves.
SATURATED_GATE = 0.99
# Rows of a random weight in 16-bit numbers may be equal by chance when they are shorter than this.
DUPLICATE_MIN_ROW = 4
# Half of the units and more are copies; a few may be deliberate (rectangular identity, sparse rows).
DUPLICATE_ERROR = 0.5
DUPLICATE_WARNING = 0.9
# At least so many zeros make a tensor structured (identity, Dirac, sparse): equal rows and repeats are then no
# accident.
STRUCTURED_ZEROS = 0.5
# Two random tensors are equal by chance only if they are tiny.
TWIN_MIN_SIZE = 16

# --- memory --------------------------------------------------------------------------------------------------------
# No initializer makes a subnormal float32, or a magnitude above 1e10; one element in a thousand is no bit flip.
GARBAGE_SHARE = 1e-3
# float16 is subnormal below 6.1e-5, where a narrow normal has honest elements: density sqrt(2/pi)/rms at zero.
FLOAT16_NORMAL = 6.1e-5
GARBAGE_MARGIN = 3.0
# The largest of n normal numbers is about sqrt(2 ln n) standard deviations; 8 more leaves room for any tail that an
# initializer draws from (Laplace, Student with many degrees), not for the 2000 of a failed inverse error function.
OUTLIER_MARGIN = 8.0
OUTLIER_MIN_SIZE = 16

# --- gradients -----------------------------------------------------------------------------------------------------
# Decades between a weight's gradient-to-weight ratio and the median's. Healthy Hugging Face models, with N(0, 0.02),
# reach 2.7 below it (queries and keys, whose logits are tiny) and 2.6 above it.
RATIO_ABOVE = 4.0
RATIO_BELOW = 5.0
RATIO_MIN_WEIGHTS = 4
# A branch behind a gate this small (layer scale 1e-6, SkipInit) learns slowly on purpose.
SMALL_GATE = 0.1
# One value in twenty rounded to a subnormal: the others stand in the last decades of the dtype.
UNDERFLOW_SHARE = 0.05

# --- geometry ------------------------------------------------------------------------------------------------------
FAN_MIN_SIZE = 64
# Standard errors that a found std may lie from the one that a rule gives (99.7 % of honest draws).
FAN_SIGMAS = 3.0
# Rounding of the constants that people type (0.8796, 1.41) and of bfloat16 averages.
FAN_ROUNDING = 1e-3
# Standard deviations that could occur span about two decades: an interval of +-t covers 2t/ln(100) of them by chance.
FAN_LOG_RANGE = 4.6
# All fits that were tried in the whole model may together give a false alarm this often.
FAN_ACCIDENT = 0.05
# Factors in std below which nothing is lost, and from which a few layers lose the signal.
FAN_NOTE = 1.6
FAN_ERROR = 4.0
# From this factor in std on, a measured loss of the same size is no accident: healthy gains lie between 0.5 and 2.
FAN_CLEAR = 3.0
# A layer that measurably keeps its signal within this factor is not harmed.
FAN_HARMLESS = 2.0
# Wanted over found gain, over a whole stretch without norm or sum: four layers of PyTorch's default (a LeNet) are off
# by 36, six by 220.
GAIN_STRETCH = 50.0
# What differs between inputs must have shrunk or grown by this much over the stretch, in the same direction: weights
# that are sized for another working point, with biases that centre, keep it within a factor of about 2.
GAIN_EFFECT = 7.0

# --- loss and outputs ----------------------------------------------------------------------------------------------
# Cross-entropy with unit-variance logits is 1.2 times log(classes) for ten classes: 3 times needs logits of rms 6.
LOSS_WARNING = 3.0
LOSS_ERROR = 10.0
# exp(100) overflows float32 and makes every softmax a hard choice; the first steps only undo it.
OUTPUT_WARNING = 100.0
OUTPUT_ERROR = 1e4
# Below this an output moves by less than one usual step of Adam (1e-3) times one input.
OUTPUT_SMALL = 1e-4

# --- audits --------------------------------------------------------------------------------------------------------
# Standard errors that a measured moment may lie from the one that was asked for: 1 honest draw in 2 million.
AUDIT_SIGMAS = 5.0
# Rounding to bfloat16 moves a constant by up to 0.4 %, and the moments of a narrow law by about as much.
AUDIT_ROUNDING = 0.01
# The moments of fewer numbers say little.
AUDIT_MIN_SIZE = 16

# --- reports -------------------------------------------------------------------------------------------------------
MAX_OTHERS = 5
