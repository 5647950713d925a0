# SPDX-License-Identifier: BSD-3-Clause
"""package.py - how Spack builds chare."""

import pathlib

from spack.package import *
from spack_repo.builtin.build_systems.autotools import AutotoolsPackage

# Of libfabric; passed on to it.
FABRICS = ("cxi", "efa", "gni", "mlx", "opx", "psm2", "psm3", "rxd", "rxm",
           "shm", "sockets", "tcp", "udp", "verbs")


class Chare(AutotoolsPackage):
    """Job runtime for programs of migratable actors, in C and Python."""

    # The clone that this recipe is in.
    git = pathlib.Path(__file__).resolve().parents[6].as_uri()

    license("BSD-3-Clause")

    version("main", branch="main")

    variant("pmix", default=True,
            description="Wire-up under Slurm and by chare run")
    variant("libfabric", default=True,
            description="Messages between nodes")
    variant("python", default=True, description="The Python module")
    variant("bench", default=False,
            description="What the benchmarks compare with")
    variant("fabrics", default="tcp,rxm,shm,sockets", multi=True,
            values=FABRICS, when="+libfabric",
            description="Providers that libfabric is built with")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("autoconf", type="build")
    depends_on("automake@1.16:", type="build")
    depends_on("libtool", type="build")
    depends_on("gmake", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("hwloc@2.2:")
    depends_on("pmix@3.2:", when="+pmix")
    depends_on("libfabric@1.14:", when="+libfabric")
    for fabric in FABRICS:
        depends_on(f"libfabric fabrics={fabric}",
                   when=f"+libfabric fabrics={fabric}")

    with when("+python"):
        extends("python@3.10:")
        depends_on("py-greenlet", type=("build", "run"))
        depends_on("py-numpy", type=("build", "run"))
    with when("+bench"):
        depends_on("mpi", type=("build", "run"))
        depends_on("py-mpi4py", type="run", when="+python")

    def autoreconf(self, spec, prefix):
        Executable("./autogen.sh")()

    def configure_args(self):
        spec = self.spec
        args = [f"--with-hwloc={spec['hwloc'].prefix}"]
        if spec.satisfies("+pmix"):
            args.append(f"--with-pmix={spec['pmix'].prefix}")
        else:
            args.append("--without-pmix")
        if spec.satisfies("+libfabric"):
            args.append(f"--with-libfabric={spec['libfabric'].prefix}")
        else:
            args.append("--without-libfabric")
        if spec.satisfies("+python"):
            args.append(f"PYTHON={spec['python'].command.path}")
        else:
            args.append("--without-python")
        return args
