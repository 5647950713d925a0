/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pmix_output.c - lines from pipes into one output, never torn.
 *
 * Goal:   whole lines only, in the order of each stream, whatever pieces come
 *         in; nothing is lost when the output is slow; bounds are kept.
 * Method: pipes on both sides of a stream, fed in chosen pieces.
 */
#include "config.h"

#include "pmix/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "tap/tap.h"

enum {
    STREAMS = 2,
    GOT_BYTES = 1 << 20
};

struct world {
    struct chi_output output;
    struct chi_stream streams[STREAMS];
    int feeds[STREAMS]; /* what a rank would write to */
    int reader;         /* who reads the output */
    char got[GOT_BYTES];
    size_t got_len;
};

static struct world *
world_create(bool tagged, bool raw)
{
    struct world *world = calloc(1, sizeof(*world));
    int ends[2];

    if (world == NULL || pipe(ends) != 0 ||
        !chi_output_init(&world->output, ends[1])) {
        return NULL;
    }
    world->reader = ends[0];
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    for (uint32_t i = 0; i < STREAMS; i++) {
        if (pipe(ends) != 0) {
            return NULL;
        }
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
        world->feeds[i] = ends[1];
        world->streams[i] = (struct chi_stream){
            .output = &world->output,
            .fd = ends[0],
            .rank = i,
            .tagged = tagged,
            .raw = raw,
        };
    }
    return world;
}

static void
world_destroy(struct world *world)
{
    for (size_t i = 0; i < STREAMS; i++) {
        chi_stream_close(&world->streams[i]);
        if (world->feeds[i] >= 0) {
            close(world->feeds[i]);
        }
    }
    close(world->output.fd);
    close(world->reader);
    chi_output_fini(&world->output);
    free(world);
}

/* Let a rank write 'text', and the launcher read it. */
static bool
feed(struct world *world, size_t i, const char *text)
{
    ssize_t len = (ssize_t)strlen(text);

    if (write(world->feeds[i], text, (size_t)len) != len) {
        return false;
    }
    chi_stream_read(&world->streams[i]);
    return true;
}

static void
end_feed(struct world *world, size_t i)
{
    close(world->feeds[i]);
    world->feeds[i] = -1;
    chi_stream_read(&world->streams[i]);
}

/* Write out and read all that is queued; what came so far. */
static const char *
drain(struct world *world)
{
    bool more = true;

    while (more) {
        ssize_t got;

        chi_output_write(&world->output);
        got = read(world->reader, world->got + world->got_len,
                   sizeof(world->got) - 1 - world->got_len);
        world->got_len += got > 0 ? (size_t)got : 0;
        more = got > 0 || chi_output_pending(&world->output);
    }
    world->got[world->got_len] = '\0';
    return world->got;
}

static void
lines_wait_for_their_end(void)
{
    struct world *world = world_create(false, false);

    CHECK(world != NULL);
    CHECK(feed(world, 0, "on"));
    CHECK(feed(world, 1, "two\nhalf"));
    CHECK(feed(world, 0, "e\nand"));
    CHECK(strcmp(drain(world), "two\none\n") == 0);
    end_feed(world, 1);
    end_feed(world, 0);
    CHECK(strcmp(drain(world), "two\none\nhalf\nand\n") == 0);
    CHECK(chi_stream_done(&world->streams[0]));
    CHECK(chi_stream_done(&world->streams[1]));
    world_destroy(world);
}

static void
each_line_has_its_tag(void)
{
    struct world *world = world_create(true, false);

    CHECK(world != NULL);
    CHECK(feed(world, 1, "a\n\nb"));
    CHECK(feed(world, 0, "c\n"));
    end_feed(world, 1);
    CHECK(strcmp(drain(world), "[1] a\n[1] \n[0] c\n[1] b\n") == 0);
    world_destroy(world);
}

static void
raw_passes_at_once(void)
{
    struct world *world = world_create(false, true);

    CHECK(world != NULL);
    CHECK(feed(world, 0, "name? "));
    CHECK(strcmp(drain(world), "name? ") == 0);
    end_feed(world, 0);
    CHECK(strcmp(drain(world), "name? ") == 0);
    world_destroy(world);
}

static void
longest_line_is_whole_and_longer_ones_are_not(void)
{
    struct world *world = world_create(true, false);
    char text[4097];
    size_t count = CHI_STREAM_BYTES / 4096;

    CHECK(world != NULL);
    memset(text, 'x', 4096);
    text[4096] = '\0';
    for (size_t i = 0; i + 1 < count; i++) {
        CHECK(feed(world, 0, text));
    }
    CHECK_EQ(strlen(drain(world)), 0);
    CHECK(feed(world, 0, text)); /* the buffer is full: a piece goes */
    CHECK_EQ(strlen(drain(world)), 4 + CHI_STREAM_BYTES + 1);
    CHECK(feed(world, 0, "end\n"));
    CHECK(strcmp(drain(world) + 4 + CHI_STREAM_BYTES + 1, "[0] end\n") == 0);
    world_destroy(world);
}

static void
full_output_stops_the_streams(void)
{
    struct world *world = world_create(false, false);
    char line[1025];
    size_t fed = 0;

    CHECK(world != NULL);
    memset(line, 'y', 1023);
    line[1023] = '\n';
    line[1024] = '\0';
    while (chi_stream_wants(&world->streams[0]) &&
           fed < 4 * CHI_OUTPUT_BYTES) {
        CHECK(feed(world, 0, line));
        fed += 1024;
    }
    /* Queue and stream are full, and no more than full. */
    CHECK(fed <= CHI_OUTPUT_BYTES + CHI_STREAM_BYTES);
    CHECK(fed >= CHI_OUTPUT_BYTES);
    for (int i = 0; i < 8; i++) {
        (void)drain(world);
        chi_stream_pass(&world->streams[0]);
    }
    CHECK_EQ(strlen(drain(world)), fed);
    CHECK(chi_stream_wants(&world->streams[0]));
    world_destroy(world);
}

static void
output_without_reader_drops_all(void)
{
    struct world *world = world_create(false, false);

    CHECK(world != NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    close(world->reader);
    CHECK(feed(world, 0, "to nobody\n"));
    chi_output_write(&world->output);
    CHECK_EQ(world->output.error, EPIPE);
    CHECK(feed(world, 0, "more\n"));
    CHECK(!chi_output_pending(&world->output));
    CHECK_EQ(world->streams[0].len, 0);
    world->reader = open("/dev/null", O_RDONLY);
    world_destroy(world);
}

static void
finish_takes_what_is_there(void)
{
    struct world *world = world_create(false, false);

    CHECK(world != NULL);
    CHECK(write(world->feeds[0], "last", 4) == 4);
    chi_stream_finish(&world->streams[0]); /* though the pipe is still open */
    CHECK(strcmp(drain(world), "last\n") == 0);
    CHECK(chi_stream_done(&world->streams[0]));
    world_destroy(world);
}

TAP_MAIN(TAP_CASE(lines_wait_for_their_end), TAP_CASE(each_line_has_its_tag),
         TAP_CASE(raw_passes_at_once),
         TAP_CASE(longest_line_is_whole_and_longer_ones_are_not),
         TAP_CASE(full_output_stops_the_streams),
         TAP_CASE(output_without_reader_drops_all),
         TAP_CASE(finish_takes_what_is_there))
