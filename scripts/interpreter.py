"""Print, one per line, what the build must know of the interpreter that runs this (any Python 3)."""

import os
import sys
import sysconfig

version = f"{sys.version_info[0]}.{sys.version_info[1]}"

# In a virtual environment the interpreter that it was made from is meant: .venv must not rest on another one.
# Its real path, since python3 and python3.11 are one.
executable = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)

# Interpreters that were moved after their build (uv's, some of conda's) name a LIBDIR that is not there.
folders = [sysconfig.get_config_var("LIBDIR") or "", os.path.join(sys.base_prefix, "lib")]
names = [sysconfig.get_config_var("LDLIBRARY") or ""]
names += [f"libpython{version}.so{suffix}" for suffix in ("", ".1.0")]
libraries = [os.path.join(folder, name) for folder in folders for name in names if ".so" in name]
include = sysconfig.get_path("include")

try:
    import ensurepip
    import venv
except ImportError:
    can_make_venv = "no"
else:
    can_make_venv = "yes" if ensurepip and venv else "no"

print(executable)
print(version)
print(sys.base_prefix)
print(include if os.path.exists(os.path.join(include, "Python.h")) else "")
print(next((library for library in libraries if os.path.exists(library)), ""))
print(can_make_venv)
