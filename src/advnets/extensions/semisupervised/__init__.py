"""Section 7.4: "features from the discriminator or inference net could improve performance of
classifiers when limited labeled data is available".

    fine_tune          (a) the authors' path: D's last layer replaced by a softmax, all fine-tuned
    frozen             (b) D's features as they are, logistic regression on them
    feature_matching   (c) a D with class logits is the classifier, G matches its features
    label_curve        all of them at several numbers of labels, beside baselines
"""  # noqa: D205

from advnets.extensions.semisupervised.classifier import Classifier as Classifier
from advnets.extensions.semisupervised.feature_matching import SemiSupervised as SemiSupervised
from advnets.extensions.semisupervised.feature_matching import (
    SemiSupervisedConfig as SemiSupervisedConfig,
)
