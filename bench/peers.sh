#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# peers.sh - get the peers that the scorecard compares with, as far as the
# package registries have them, and say which could not be had.
#
# usage: bench/peers.sh [BUILD]      BUILD: the build folder, default build
#
# What comes from PyPI goes into BUILD/bench-venv, and mpi4py for MPICH into
# BUILD/bench-mpich; nothing else of the system changes but for the packages
# mpich and libmpich-dev, where apt has them. PYTHON says for which interpreter;
# it has to be the one that chare was built for.
set -u

top=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$top/build}
python=${PYTHON:-/usr/bin/python3}
venv=$build/bench-venv
log=$build/bench-peers.log
missing=

note()
{
    printf '==> %s\n' "$*"
}

# attempt NAME COMMAND...: do it, or remember that NAME is missing.
attempt()
{
    local name=$1

    shift
    note "$name"
    if ! "$@" >>"$log" 2>&1; then
        missing="$missing$name: $(tail -n 1 "$log" | cut -c1-150)
"
        return 1
    fi
}

apt_install()
{
    command -v apt-get >/dev/null || {
        echo 'there is no apt-get' && return 1
    }
    if [ "$(id -u)" = 0 ]; then
        DEBIAN_FRONTEND=noninteractive apt-get -q -y \
            -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
    else
        sudo -n apt-get -q -y install --no-install-recommends "$@"
    fi
}

# What the distribution's Python has (NumPy, mpi4py) is seen in there too.
make_venv()
{
    [ -x "$venv/bin/python3" ] || "$python" -m venv --without-pip \
        --system-site-packages "$venv"
}

pip_install()
{
    "$python" -m pip --python "$venv/bin/python3" install -q \
        --disable-pip-version-check --root-user-action=ignore "$@"
}

# mpi4py as the distribution builds it is for Open MPI; the wheel of PyPI takes
# whatever MPI it is started under, and here that is MPICH.
mpi4py_for_mpich()
{
    command -v mpicc.mpich || return 1
    [ -d "$build/bench-mpich/mpi4py" ] ||
        "$python" -m pip install -q --disable-pip-version-check \
            --root-user-action=ignore --only-binary mpi4py \
            --target "$build/bench-mpich" mpi4py || return 1
    # It looks for MPICH under the name that MPICH itself gives its library.
    mkdir -p "$build/bench-mpich/lib"
    ln -sf "$(ldconfig -p | sed -n 's/.*libmpich\.so\.12 .*=> //p' | head -n 1)" \
        "$build/bench-mpich/lib/libmpi.so.12"
}

# Charm4py comes as a source that builds Charm++; minutes, where it works.
charm4py()
{
    timeout 900 "$python" -m pip --python "$venv/bin/python3" install -q \
        --disable-pip-version-check --root-user-action=ignore charm4py &&
        "$venv/bin/python3" -c 'import charm4py'
}

mkdir -p "$build"
: >"$log"
attempt 'Open MPI' command -v mpirun.openmpi ||
    attempt 'Open MPI, by apt' apt_install openmpi-bin libopenmpi-dev
attempt 'MPICH' command -v mpirun.mpich ||
    attempt 'MPICH, by apt' apt_install mpich libmpich-dev
attempt 'mpi4py' "$python" -c 'import mpi4py' ||
    attempt 'mpi4py, by apt' apt_install python3-mpi4py
attempt 'mpi4py on MPICH' mpi4py_for_mpich
attempt 'a virtual environment' make_venv
attempt 'NumPy 1 for it' "$venv/bin/python3" -c 'import numpy'
attempt 'Matplotlib' pip_install 'matplotlib' 'numpy<2'
attempt 'Ray' pip_install ray 'numpy<2'
attempt 'Dask distributed' pip_install distributed 'numpy<2'
attempt 'Charm4py' charm4py

if [ -n "$missing" ]; then
    printf 'Not to be had here (all output: %s):\n%s' "$log" "$missing"
    exit 1
fi
note 'all peers are here'
