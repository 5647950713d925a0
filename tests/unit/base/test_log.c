/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_log.c - what goes to standard error, and what does not.
 *
 * Goal: levels filter, a line has its head, one end and a bounded length, and
 * is one write. Method: standard error is a datagram socket for the time of
 * one call, so that each write() is one datagram.
 */
#include "config.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "tap/tap.h"

/* What one call writes, as text; "" for nothing, "MORE" for several writes. */
struct capture {
    int saved;
    int ends[2];
    char text[2 * CHI_LOG_LINE_BYTES_MAX];
};

static void
capture_start(struct capture *capture)
{
    capture->saved = dup(STDERR_FILENO);
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, capture->ends) != 0 ||
        dup2(capture->ends[0], STDERR_FILENO) < 0) {
        abort();
    }
}

static void
capture_stop(struct capture *capture)
{
    ssize_t len = recv(capture->ends[1], capture->text,
                       sizeof(capture->text) - 1, MSG_DONTWAIT);
    char more;

    capture->text[len > 0 ? len : 0] = '\0';
    if (recv(capture->ends[1], &more, 1, MSG_DONTWAIT) >= 0) {
        strcpy(capture->text, "MORE");
    }
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    close(capture->ends[0]);
    close(capture->ends[1]);
}

static void
levels_parse(void)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    enum chi_log_level level;

    for (int i = 0; i < 4; i++) {
        CHECK(chi_log_level_parse(names[i], &level));
        CHECK_EQ(level, i);
    }
    CHECK(!chi_log_level_parse("", &level));
    CHECK(!chi_log_level_parse("Warn", &level));
    CHECK(!chi_log_level_parse("warning", &level));
}

static void
levels_filter(void)
{
    for (int set = CHI_LOG_ERROR; set <= CHI_LOG_DEBUG; set++) {
        for (int at = CHI_LOG_ERROR; at <= CHI_LOG_DEBUG; at++) {
            const struct chi_log log = {(enum chi_log_level)set,
                                        CHI_LOG_NO_PE};
            struct capture capture;

            capture_start(&capture);
            chi_log_at(&log, (enum chi_log_level)at, "text");
            capture_stop(&capture);
            CHECK_EQ(capture.text[0] != '\0', at <= set);
        }
    }
}

static void
lines_have_heads(void)
{
    struct chi_log log = CHI_LOG_INIT;
    struct capture capture;

    capture_start(&capture);
    chi_log_warn(&log, "no %s on %d", "room", 7);
    capture_stop(&capture);
    CHECK(strcmp(capture.text, "chare: warn: no room on 7\n") == 0);
    log.pe = 12;
    capture_start(&capture);
    chi_log_error(&log, "gone");
    capture_stop(&capture);
    CHECK(strcmp(capture.text, "chare[12]: error: gone\n") == 0);
}

static void
long_lines_are_cut(void)
{
    char text[3000];
    const struct chi_log log = CHI_LOG_INIT;

    for (size_t len = CHI_LOG_LINE_BYTES_MAX - 30; len < sizeof(text);
         len += len < CHI_LOG_LINE_BYTES_MAX + 10 ? 1 : 500) {
        struct capture capture;
        size_t written;

        memset(text, 'x', len);
        text[len] = '\0';
        capture_start(&capture);
        chi_log_error(&log, "%s", text);
        capture_stop(&capture);
        written = strlen(capture.text);
        CHECK(written <= CHI_LOG_LINE_BYTES_MAX);
        CHECK(written + 30 > CHI_LOG_LINE_BYTES_MAX);
        CHECK(capture.text[written - 1] == '\n');
        CHECK(strchr(capture.text, '\n') == capture.text + written - 1);
    }
}

TAP_MAIN(TAP_CASE(levels_parse), TAP_CASE(levels_filter),
         TAP_CASE(lines_have_heads), TAP_CASE(long_lines_are_cut))
