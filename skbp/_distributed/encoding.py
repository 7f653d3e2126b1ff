"""From the user's Dask collections to rows that are validated and encoded, in a few passes over the partitions."""

from __future__ import annotations

import copy

import numpy as np
from dask.delayed import delayed

from skbp._distributed import partition
from skbp._distributed.cluster import Cluster, data, tree
from skbp._distributed.collections import VALIDATION, partitions
from skbp._distributed.rows import PartitionedRows

# What the checks of a partition need to know of the estimator.
OF_THE_CHECKS = (
    *("dtype", "class_weight", "out_activation", "solver", "warm_start"),
    *("n_features_in_", "feature_names_in_", "classes_", "out_activation_", "n_outputs_"),
    *("_label_binarizer", "_class_counts"),
)


def partitioned_rows(estimator, X, y, sample_weight, hidden, *, resume, same_labels, incremental) -> PartitionedRows:
    """The data validated and encoded, as `NetworkEstimator._training_rows` does it with data in memory."""
    cluster = Cluster()
    call, checks = delayed(partition.checked, pure=False), data(_checks_of(estimator, resume))
    parts = cluster.kept([call(checks, *one, resume) for one in partitions(X, y, sample_weight)])
    parts, facts = _with_rows(cluster, parts, "X")
    if len(facts.dtypes) > 1 or facts.mixes_sparse:
        parts = cluster.kept(_each(partition.as_type, parts, max(facts.dtypes), facts.sparse))
    if not resume:
        _publish_columns(estimator, facts)
    estimator._encode_y(facts.y, resume or incremental, same_labels)
    counted = cluster.result(tree(_each(partition.counts, parts, _checks_of(estimator)), partition.merged_counts))
    estimator._count_classes(*counted, incremental)
    weighted = sample_weight is not None or estimator.class_weight is not None
    rows = _encoded(cluster, estimator, parts, facts, sum(hidden) + estimator.n_outputs_, weighted)
    if rows is None:
        raise estimator._weightless(sample_weight)
    return rows


def validation_rows(estimator, X_val, y_val, sample_weight_val, train) -> PartitionedRows:
    """The user's validation data, as `SingleNetwork._own_validation_rows` encodes those in memory."""
    cluster = Cluster()
    call, checks = delayed(partition.checked_for_validation, pure=False), data(_checks_of(estimator))
    given = partitions(X_val, y_val, sample_weight_val, VALIDATION)
    parts = cluster.kept([call(checks, *one, train.dtype) for one in given])
    parts, facts = _with_rows(cluster, parts, "X_val")
    weighted = sample_weight_val is not None or estimator.class_weight is not None
    rows = _encoded(cluster, estimator, parts, facts, train.n_units, weighted)
    if rows is None:
        raise ValueError("The weights of all validation rows are zero: at least one must be positive.")
    return rows


def _with_rows(cluster, parts, name):
    """The partitions that have rows, and the facts about all of them."""
    facts = cluster.result(tree(_each(partition.facts, parts), partition.merged_facts))
    if not any(facts.n_rows):
        raise ValueError(f"{name} has no rows: at least one is needed.")
    return [part for part, n in zip(parts, facts.n_rows, strict=True) if n], facts


def _encoded(cluster, estimator, parts, facts, n_units, weighted) -> PartitionedRows | None:
    """Checked partitions as rows for training. None if all weights are zero."""
    parts = cluster.kept(_each(partition.rows_of, parts, _checks_of(estimator), n_units))
    exponent = 0
    if weighted:
        exponent = cluster.result(tree(_each(partition.exponent_of, parts), partition.largest))
        if exponent is None:
            return None
        parts = cluster.kept(_each(partition.with_exponent, parts, exponent))
    figures = cluster.results(_each(partition.length_and_weight, parts))
    lengths, weights = zip(*figures, strict=True)
    return PartitionedRows(
        cluster, parts, list(lengths), sum(weights), weighted=weighted, weight_exponent=exponent, norm=facts.norm
    )


def _checks_of(estimator, resume=False):
    """A copy of an estimator with what the checks of a partition need, and nothing that is large."""
    checks = copy.copy(estimator)
    checks.__dict__ = {name: value for name, value in estimator.__dict__.items() if name in OF_THE_CHECKS}
    if resume:
        checks.coefs_ = [np.zeros((0, 0), estimator.coefs_[0].dtype)]
    return checks


def _each(function, parts, *arguments):
    """Tasks that call a function (partition, *arguments) for each partition."""
    call, given = delayed(function, pure=False), [data(one) for one in arguments]
    return [call(part, *given) for part in parts]


def _publish_columns(estimator, facts):
    estimator.n_features_in_ = facts.n_features
    if facts.names is not None:
        estimator.feature_names_in_ = facts.names
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
