/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * output.c - whole lines from many pipes into two outputs.
 */
#include "config.h"

#include "pmix/output.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

enum {
    TAG_BYTES_MAX = 16
}; /* "[4294967295] " with NUL */

/* ---- outputs ---- */

bool
chi_output_init(struct chi_output *output, int fd)
{
    *output = (struct chi_output){.fd = fd, .bytes = malloc(CHI_OUTPUT_BYTES)};
    return output->bytes != NULL;
}

void
chi_output_fini(struct chi_output *output)
{
    free(output->bytes);
    output->bytes = NULL;
}

/* Room at the end of the queue, after moving it to the front. */
static size_t
output_room(struct chi_output *output)
{
    if (output->begin > 0) {
        memmove(output->bytes, output->bytes + output->begin,
                output->end - output->begin);
        output->end -= output->begin;
        output->begin = 0;
    }
    return CHI_OUTPUT_BYTES - output->end;
}

void
chi_output_add(struct chi_output *output, const char *bytes, size_t len)
{
    size_t room = CHI_OUTPUT_BYTES - output->end;

    if (output->error != 0) {
        return;
    }
    if (room < len) {
        room = output_room(output);
    }
    if (len > room) {
        len = room;
    }
    memcpy(output->bytes + output->end, bytes, len);
    output->end += len;
}

void
chi_output_give_up(struct chi_output *output)
{
    output->error = EINTR;
    output->begin = 0;
    output->end = 0;
}

void
chi_output_write(struct chi_output *output)
{
    size_t len = output->end - output->begin;
    ssize_t written;

    if (len == 0) {
        return;
    }
    /* A pipe that poll() calls writable takes this much without blocking. */
    if (len > PIPE_BUF) {
        len = PIPE_BUF;
    }
    written = write(output->fd, output->bytes + output->begin, len);
    if (written >= 0) {
        output->begin += (size_t)written;
    } else if (errno != EAGAIN && errno != EINTR) {
        output->error = errno;
        output->begin = output->end;
    }
    if (output->begin == output->end) {
        output->begin = 0;
        output->end = 0;
    }
}

/* ---- streams ---- */

/* The next piece to pass on as one: its length, or 0 for "wait for more". */
static size_t
stream_piece(const struct chi_stream *stream, const char *at, size_t len)
{
    const char *newline;

    if (len == 0) {
        return 0;
    }
    newline = stream->tagged ? memchr(at, '\n', len) : memrchr(at, '\n', len);
    if (newline != NULL) {
        return (size_t)(newline - at) + 1;
    }
    return stream->raw || stream->ended || len == CHI_STREAM_BYTES ? len : 0;
}

/* False: the output has no room for it now. */
static bool
stream_pass_piece(struct chi_stream *stream, const char *at, size_t len)
{
    struct chi_output *output = stream->output;
    bool cut = at[len - 1] != '\n';
    char tag[TAG_BYTES_MAX];
    size_t tag_len = 0;

    if (stream->tagged) {
        tag_len = (size_t)snprintf(tag, sizeof(tag), "[%u] ", stream->rank);
    }
    if (output->error == 0 &&
        CHI_OUTPUT_BYTES - output->end < tag_len + len + 1 &&
        output_room(output) < tag_len + len + 1) {
        return false;
    }
    chi_output_add(output, tag, tag_len);
    chi_output_add(output, at, len);
    /* A last line without its end must not run into another rank's line. */
    if (cut && (stream->tagged || (stream->ended && !stream->raw))) {
        chi_output_add(output, "\n", 1);
    }
    return true;
}

void
chi_stream_pass(struct chi_stream *stream)
{
    size_t passed = 0;
    size_t piece;

    for (;;) {
        piece =
            stream_piece(stream, stream->bytes + passed, stream->len - passed);
        if (piece == 0 ||
            !stream_pass_piece(stream, stream->bytes + passed, piece)) {
            break;
        }
        passed += piece;
    }
    stream->len -= passed;
    if (passed > 0 && stream->len > 0) {
        memmove(stream->bytes, stream->bytes + passed, stream->len);
    }
    if (stream->ended && stream->len == 0) {
        free(stream->bytes);
        stream->bytes = NULL;
    }
}

bool
chi_stream_wants(const struct chi_stream *stream)
{
    return stream->fd >= 0 && stream->len < CHI_STREAM_BYTES;
}

static void
stream_end(struct chi_stream *stream)
{
    close(stream->fd);
    stream->fd = -1;
    stream->ended = true;
}

/* True: more may be there at once. */
static bool
stream_fill(struct chi_stream *stream)
{
    size_t room = CHI_STREAM_BYTES - stream->len;
    ssize_t got;

    if (stream->bytes == NULL) {
        stream->bytes = malloc(CHI_STREAM_BYTES);
        if (stream->bytes == NULL) {
            return false; /* tried again when poll() says so */
        }
    }
    got = read(stream->fd, stream->bytes + stream->len, room);
    if (got > 0) {
        stream->len += (size_t)got;
        return true;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        stream_end(stream);
    }
    return false;
}

void
chi_stream_read(struct chi_stream *stream)
{
    chi_assert(chi_stream_wants(stream));
    (void)stream_fill(stream);
    chi_stream_pass(stream);
}

void
chi_stream_finish(struct chi_stream *stream)
{
    while (chi_stream_wants(stream) && stream_fill(stream)) {
        chi_stream_pass(stream);
    }
    if (stream->fd >= 0 && stream->len < CHI_STREAM_BYTES) {
        stream_end(stream);
    }
    chi_stream_pass(stream);
}

bool
chi_stream_done(const struct chi_stream *stream)
{
    return stream->fd < 0 && stream->len == 0;
}

void
chi_stream_close(struct chi_stream *stream)
{
    if (stream->fd >= 0) {
        stream_end(stream);
    }
    stream->len = 0;
    free(stream->bytes);
    stream->bytes = NULL;
}
