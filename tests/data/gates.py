"""A transform that waits at some images until a test lets it go on; workers import it."""

import hashlib
import os

#: The variable with the folder of the gates: named pipes, each with the hash of the image that waits there.
FOLDER = "CAFFE_PYLAYERS_TEST_GATES"


def name_of(image):
    return hashlib.sha1(image.tobytes()).hexdigest()


def wait(image, rng):
    path = os.path.join(os.environ[FOLDER], name_of(image))
    if os.path.exists(path):
        with open(path, "rb") as pipe:
            pipe.read()
    return image


def count_up(image, rng, labels):
    return wait(image, rng), labels + 1
