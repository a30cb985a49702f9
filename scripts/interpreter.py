"""Print, one per line, what the build must know of the interpreter that runs this (any Python, for its version is one)."""

import os
import sys
import sysconfig

version = ".".join(map(str, sys.version_info[:2]))
prefix = getattr(sys, "base_prefix", sys.prefix)

# In a virtual environment the interpreter that it was made from is meant: .venv must not rest on another one.
# Its real path, since python3 and python3.11 are one.
executable = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)

# Interpreters that were moved after their build (uv's, some of conda's) name a LIBDIR that is not there.
folders = [sysconfig.get_config_var("LIBDIR") or "", os.path.join(prefix, "lib")]
names = [sysconfig.get_config_var("LDLIBRARY") or ""]
names += ["libpython" + version + suffix for suffix in (".so", ".so.1.0")]
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
print(prefix)
print(include if os.path.exists(os.path.join(include, "Python.h")) else "")
print(next((library for library in libraries if os.path.exists(library)), ""))
print(can_make_venv)
