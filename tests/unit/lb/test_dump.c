/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_dump.c - dumps come back as they were written; what is wrong in one is
 * said with file and line.
 */
#include "config.h"

#include "lb/dump.h"
#include "lb/synth.h"
#include "tap/tap.h"

static chare_status
read_text(const char *text, struct chi_lb_problem *out, char *error)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    chare_status status;

    if (file == NULL) {
        return CHARE_ERR_SYSTEM;
    }
    status = chi_dump_read(file, "x.load", out, error);
    fclose(file);
    return status;
}

static void
round_trip(void)
{
    struct chi_lb_problem problem;
    struct chi_lb_problem back;
    char error[CHI_DUMP_ERROR_BYTES];
    static uint8_t fixed[100];
    FILE *file = tmpfile();

    CHECK(file != NULL);
    CHECK(chi_synth_make(CHI_SYNTH_LOGNORMAL, 100, 7, 5, &problem) ==
          CHARE_OK);
    fixed[13] = 1;
    problem.fixed = fixed;
    CHECK(chi_dump_write(file, &problem, NULL) == CHARE_OK);
    rewind(file);
    CHECK(chi_dump_read(file, "x", &back, error) == CHARE_OK);
    fclose(file);
    CHECK_EQ(back.object_count, 100);
    CHECK_EQ(back.pe_count, 7);
    CHECK_EQ(back.dims, 2);
    CHECK(memcmp(back.work, problem.work, 100 * sizeof(float)) == 0);
    CHECK(memcmp(back.from, problem.from, 100 * sizeof(uint32_t)) == 0);
    CHECK(memcmp(back.bytes, problem.bytes, 100 * sizeof(uint64_t)) == 0);
    CHECK(memcmp(back.fixed, fixed, 100) == 0);
    CHECK(memcmp(back.coordinates, problem.coordinates, 200 * sizeof(float)) ==
          0);
    for (size_t i = 0; i <= 100; i++) {
        CHECK_EQ(back.edge_first[i], problem.edge_first[i]);
    }
    problem.fixed = NULL;
    chi_lb_problem_free(&problem);
    chi_lb_problem_free(&back);
}

static void
what_is_left_out(void)
{
    struct chi_lb_problem problem;
    char error[CHI_DUMP_ERROR_BYTES];

    CHECK(read_text("# a comment\nchare-load 1\npes 2\n\nobject 0 load=2 pe=1 "
                    "later=x # more\npe 1 speed=0.5\nobject 1 pe=0 load=0\n"
                    "talk 0 1 8\n",
                    &problem, error) == CHARE_OK);
    CHECK_EQ(problem.object_count, 2);
    CHECK(problem.speeds[0] == 1 && problem.speeds[1] == 0.5f);
    CHECK(problem.coordinates == NULL);
    CHECK_EQ(problem.edge_first[2], 2);
    CHECK_EQ(problem.edge_to[0], 1);
    chi_lb_problem_free(&problem);
    CHECK(read_text("chare-load 1\npes 1 seed=18446744073709551615\n",
                    &problem, error) == CHARE_OK);
    CHECK(problem.seed == UINT64_MAX);
    chi_lb_problem_free(&problem);
    CHECK(read_text("chare-load 1\npes 3\n", &problem, error) == CHARE_OK);
    CHECK_EQ(problem.object_count, 0);
    chi_lb_problem_free(&problem);
}

static void
errors_name_file_and_line(void)
{
    static const struct {
        const char *text;
        const char *says;
    } wrong[] = {
        {"hello\n", "x.load:1: no dump"},
        {"chare-load 2\n", "x.load:1: version 2"},
        {"chare-load 1\n", "ends before 'pes'"},
        {"chare-load 1\npes 0\n", "x.load:2:"},
        {"chare-load 1\npes x\n", "x.load:2: how many PEs 'x'"},
        {"chare-load 1\nobject 0 pe=0 load=1\n", "x.load:2: 'pes'"},
        {"chare-load 1\npes 2\nobject 0 pe=2 load=1\n", "x.load:3: pe '2'"},
        {"chare-load 1\npes 2\nobject 0 pe=1\n", "x.load:3: an object needs"},
        {"chare-load 1\npes 2\nobject 1 pe=1 load=1\n",
         "x.load:3: object 1 where 0"},
        {"chare-load 1\npes 2\nobject 0 pe=1 load=nan\n",
         "x.load:3: load 'nan'"},
        {"chare-load 1\npes 2\nobject 0 pe=1 load=-1\n",
         "x.load:3: load '-1'"},
        {"chare-load 1\npes 2\nobject 0 pe\n", "x.load:3: 'pe' should be"},
        {"chare-load 1\npes 2\npe 2 speed=1\n", "x.load:3: the PE '2'"},
        {"chare-load 1\npes 1\npe 0 speed=0\n", "no PE has a speed"},
        {"chare-load 1\npes 2\nobject 0 pe=0 load=1\ntalk 0 1 5\n",
         "x.load:4: the other object '1'"},
        {"chare-load 1\npes 1\nobject 0 pe=0 load=1 at=1,2\n"
         "object 1 pe=0 load=1 at=3\n",
         "x.load:4: at '3' has 1"},
        {"chare-load 1\npes 1\nfly 3\n", "x.load:3: 'fly' is not known"},
        {"chare-load 1\npes 1\n\033[31m\n", "x.load:3: '?[31m' is not"},
        {"", "x.load:0: the file is empty"},
        {"chare-load 1\npes 1 objects=2\nobject 0 pe=0 load=1\n",
         "x.load:3: the file has 1 of 2 objects"},
        {"chare-load 1\npes 1 objects=1\nobject 0 pe=0 load=1",
         "x.load:3: the last line has no end"},
        {"chare-load 1\npes 1 objects=1 talks=1\nobject 0 pe=0 load=1\n",
         "x.load:3: the file has 0 of 1 talks"},
        {"chare-load 1\npes 1 noise=-1\n", "x.load:2: noise '-1'"},
        {"chare-load 1\npes 1 noise=1\n",
         "x.load:2: noise '1' should be below 1"},
        {"chare-load 1\npes 1 seed=18446744073709551616\n",
         "x.load:2: seed '18446744073709551616' should"},
        {"chare-load 1\npes 1 seed=-1\n", "x.load:2: seed '-1' should"},
        {"chare-load 1\npes 1 objects=2147483647\n",
         "x.load:2: the file has 0 of 2147483647 objects"},
        {"chare-load 1\npes 1 objects=2147483648\n",
         "x.load:2: objects '2147483648' should"},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct chi_lb_problem problem;
        char error[CHI_DUMP_ERROR_BYTES] = "";

        CHECK(read_text(wrong[i].text, &problem, error) == CHARE_ERR_FORMAT);
        if (strstr(error, wrong[i].says) == NULL) {
            printf("# %s\n", error);
        }
        CHECK(strstr(error, wrong[i].says) != NULL);
    }
}

static void
bytes_that_are_no_text(void)
{
    static const char bytes[] = "\177ELF\002\0\0\0\nmore\n";
    FILE *file = fmemopen((void *)(uintptr_t)bytes, sizeof(bytes) - 1, "r");
    struct chi_lb_problem problem;
    char error[CHI_DUMP_ERROR_BYTES];

    CHECK(file != NULL);
    CHECK(chi_dump_read(file, "x", &problem, error) == CHARE_ERR_FORMAT);
    fclose(file);
    CHECK(strstr(error, "x:1: no dump of loads") != NULL);
}

static void
the_whole_is_said(void)
{
    struct chi_lb_problem problem;
    struct chi_lb_problem back;
    char error[CHI_DUMP_ERROR_BYTES];
    FILE *file = tmpfile();

    CHECK(file != NULL);
    CHECK(chi_synth_make(CHI_SYNTH_UNIFORM, 10, 2, 77, &problem) == CHARE_OK);
    problem.noise = 0.25f;
    CHECK(chi_dump_write(file, &problem, NULL) == CHARE_OK);
    rewind(file);
    CHECK(chi_dump_read(file, "x", &back, error) == CHARE_OK);
    fclose(file);
    CHECK_EQ(back.seed, 77);
    CHECK(back.noise == 0.25f);
    chi_lb_problem_free(&problem);
    chi_lb_problem_free(&back);
}

TAP_MAIN(TAP_CASE(round_trip), TAP_CASE(the_whole_is_said),
         TAP_CASE(bytes_that_are_no_text), TAP_CASE(what_is_left_out),
         TAP_CASE(errors_name_file_and_line))
