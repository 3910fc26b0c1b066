"""The models of Table 1 beside the adversarial pair, one a file, each behind the common contract.

They share three things: `descent` (a learner that descends one objective of one network), `stages`
(layers trained one after the other) and `binary` (real values for binary units).
"""
