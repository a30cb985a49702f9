"""Knowledge distillation: a student's scores shall give the distribution that a teacher's give (Hinton et al. 2015)."""

from typing import Optional, Union

import numpy as np

from caffe_pylayers.losses.blocks import Buffer, largest_block, score_blocks, scratch
from caffe_pylayers.losses.reduction import Array, array_module
from caffe_pylayers.losses.softmax import clear, expected, exponentials, factor_of


def distillation(
    student: Array,
    teacher: Array,
    temperature: float = 1.0,
    factor: Union[float, Array] = 1.0,
    gradient: Optional[Array] = None,
    buffer: Optional[Buffer] = None,
) -> Array:
    """KL(q to p) for each position, with p, q = softmax of student / T, teacher / T along axis 1.

        l = sum_k q_k (log q_k - log p_k)        what goes into the gradient: T (p_k - q_k) = T^2 dl/dstudent_k

    student, teacher: float (M, K), or (M, K, P) with P positions each.
    temperature: T, above 0.
    factor, gradient, buffer: as in `softmax_cross_entropy`.
    Returns the values, (M,) or (M, P).

    >>> distillation(np.array([[0.0, np.log(3.0)]]), np.array([[0.0, 0.0]])).round(4)
    array([0.1438])
    """
    xp = array_module(student)
    buffer = scratch(buffer, student)
    values = buffer("values", student.shape[:1] + student.shape[2:], student.dtype)
    size = largest_block(student)
    names = ("student", "teacher", "student exps", "teacher exps")
    work = [buffer(name, (size,), student.dtype) for name in names]

    for part, terms in score_blocks(student):
        of_student, of_teacher, p, q = (each[: student[part].size].reshape(student[part].shape) for each in work)
        xp.multiply(student[part], 1 / temperature, out=of_student)
        xp.multiply(teacher[part], 1 / temperature, out=of_teacher)
        p_sums, s = exponentials(of_student, p, of_student)
        q_sums, t = exponentials(of_teacher, q, of_teacher)
        q /= q_sums[:, None]
        with np.errstate(invalid="ignore"):
            difference = xp.subtract(t, s, out=t)
        xp.log(p_sums / q_sums, out=values[terms])
        values[terms] += expected(q, difference)
        if gradient is not None:
            each = factor_of(factor, terms)
            p /= p_sums[:, None]
            p -= q
            scale = each * temperature
            xp.multiply(p, scale if isinstance(each, (int, float)) else scale[:, None], out=gradient[part])
            clear(gradient[part], each, p_sums + q_sums)
    return values
