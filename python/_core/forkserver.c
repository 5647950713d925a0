/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forkserver.c - what a rank that was forked needs of the kernel.
 */
#include "state.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/*
 * adopted_by(launcher, server): wait for the server, the parent, to end, as it
 * is about to. True: the launcher is the parent now, and its death will be
 * this process's, as that of any rank. False: it has died before.
 */
static PyObject *
adopted_by(PyObject *module, PyObject *args)
{
    int launcher;
    int server;

    (void)module;
    if (!PyArg_ParseTuple(args, "ii", &launcher, &server)) {
        return NULL;
    }
    while (getppid() == server) {
        sched_yield();
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyBool_FromLong(getppid() == launcher);
}

PyMethodDef core_forkserver_functions[] = {
    {"adopted_by", adopted_by, METH_VARARGS,
     PyDoc_STR("For a rank that a fork server has forked.")},
    {NULL, NULL, 0, NULL},
};
