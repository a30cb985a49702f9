"""How good embeddings are: retrieval, verification of pairs, re-identification; arrays alone, in blocks.

In a notebook::

    evaluation = Evaluation(features, labels)
    print(evaluation.retrieval().recall)
"""

from caffe_pylayers.evaluation.evaluation import Evaluation
from caffe_pylayers.evaluation.records import Records
from caffe_pylayers.evaluation.retrieval import Reidentification, Retrieval
from caffe_pylayers.evaluation.verification import Verification

__all__ = ["Evaluation", "Records", "Reidentification", "Retrieval", "Verification"]
