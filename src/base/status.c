/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.c - names and meanings of status codes.
 */
#include "config.h"

#include <chare.h>

struct status_text {
    chare_status status;
    const char *name;
    const char *meaning;
};

#define STATUS(code, meaning) \
    {                         \
        code, #code, meaning  \
    }

static const struct status_text status_texts[] = {
    STATUS(CHARE_OK, "success"),
    STATUS(CHARE_ERR_AGAIN, "nothing happened; try again later"),
    STATUS(CHARE_ERR_INTERRUPTED, "interrupted; it can go on"),
    STATUS(CHARE_ERR_INVALID, "an argument is not valid"),
    STATUS(CHARE_ERR_NO_MEMORY, "out of memory"),
    STATUS(CHARE_ERR_TOO_LARGE, "larger than the limit"),
    STATUS(CHARE_ERR_NOT_FOUND, "no such thing"),
    STATUS(CHARE_ERR_STATE, "not possible in this state"),
    STATUS(CHARE_ERR_EXISTS, "it exists already"),
    STATUS(CHARE_ERR_FORMAT, "malformed data"),
    STATUS(CHARE_ERR_TIMEOUT, "not done in time"),
    STATUS(CHARE_ERR_PEER_LOST, "a process of this job is gone"),
    STATUS(CHARE_ERR_FABRIC, "the network failed"),
    STATUS(CHARE_ERR_WIREUP, "the processes of the job did not come together"),
    STATUS(CHARE_ERR_SYSTEM, "the operating system refused"),
};

static const struct status_text *
status_find(chare_status status)
{
    const unsigned count = sizeof(status_texts) / sizeof(status_texts[0]);

    for (unsigned i = 0; i < count; i++) {
        if (status_texts[i].status == status) {
            return &status_texts[i];
        }
    }
    return NULL;
}

const char *
chare_status_name(chare_status status)
{
    const struct status_text *text = status_find(status);

    return text == NULL ? "CHARE_ERR_UNKNOWN" : text->name;
}

const char *
chare_status_text(chare_status status)
{
    const struct status_text *text = status_find(status);

    return text == NULL ? "unknown status" : text->meaning;
}
