/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lb.c - 'chare lb': what would each strategy have done?
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "lb/dump.h"
#include "lb/strategies/strategy.h"
#include "lb/synth.h"
#include "tools/tools.h"

enum {
    CHOSEN_MAX = 32,
    EXIT_NO = 1,
    OBJECTS_PER_PE = 10,
    PES_PRESET = 16,
};

static const char help[] =
    "Usage: chare lb [OPTION]... DUMP\n"
    "       chare lb [OPTION]... --synthetic SHAPE\n"
    "Replay the loads of a run (CHARE_LB_DUMP) through "
    "balancing\n"
    "strategies: what would the slowest PE have, what would move?\n"
    "\n"
    "  -s, --strategy NAME   only this one (again: this one too)\n"
    "  -n, --pes N           on N PEs: objects of PE p are on p modulo N; "
    "with\n"
    "                        --synthetic: how many (default 16)\n"
    "      --synthetic SHAPE made-up loads: uniform, lognormal, onehot (one "
    "PE\n"
    "                        has 20 times the others), clustered in space\n"
    "      --objects N       how many to make up (default 10 for each PE)\n"
    "      --seed N          for what is left to chance (default 1)\n"
    "      --tolerance X     work above the bound that is not worth a move\n"
    "                        (default 0.02)\n"
    "      --write FILE      also write the loads, as a dump, to FILE\n"
    "      --moves FILE      also write where each object goes: strategy, "
    "object,\n"
    "                        from, to\n"
    "      --csv             print the table as CSV, for programs\n"
    "  -l, --list            list the strategies\n"
    "  -h, --help            show this text\n"
    "\n"
    "time     seconds of the PE that has most\n"
    "ratio    that over the lower bound max(mean, largest object)\n"
    "moves    objects that move, and their bytes where they are known\n"
    "cut      bytes between objects on different PEs, where they are known\n"
    "hop      the same, each byte times how far it goes: 1 in a cache, 2 in "
    "a\n"
    "         NUMA node, 3 in a node, 5 between nodes, 2 more for each level\n"
    "         of switches\n"
    "decision how long the strategy took\n";

struct what_if {
    const char *dump;
    const struct chi_lb_strategy *chosen[CHOSEN_MAX];
    size_t chosen_count;
    bool has_shape;
    bool csv;
    enum chi_synth_shape shape;
    uint64_t pes;
    uint64_t objects;
    uint64_t seed;
    float tolerance;
    const char *write_to;
    const char *moves_to;
    FILE *moves;
};

enum {
    OPTION_SYNTHETIC = 256,
    OPTION_OBJECTS,
    OPTION_SEED,
    OPTION_TOLERANCE,
    OPTION_WRITE,
    OPTION_MOVES,
    OPTION_CSV,
};

static const struct option long_options[] = {
    {"strategy", required_argument, NULL, 's'},
    {"pes", required_argument, NULL, 'n'},
    {"synthetic", required_argument, NULL, OPTION_SYNTHETIC},
    {"objects", required_argument, NULL, OPTION_OBJECTS},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"tolerance", required_argument, NULL, OPTION_TOLERANCE},
    {"write", required_argument, NULL, OPTION_WRITE},
    {"moves", required_argument, NULL, OPTION_MOVES},
    {"csv", no_argument, NULL, OPTION_CSV},
    {"list", no_argument, NULL, 'l'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* ---- options; each parser returns 0, or the exit code */

static int
parse_number(const char *option, const char *text, uint64_t limit,
             uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
        *out > limit) {
        return chi_tools_misused("lb",
                                 "%s %s: should be a number up to %" PRIu64,
                                 option, text, limit);
    }
    return 0;
}

static int
parse_strategy(struct what_if *what_if, const char *name)
{
    const struct chi_lb_strategy *strategy = chi_lb_strategy_find(name);

    if (strategy == NULL) {
        return chi_tools_misused(
            "lb", "there is no strategy '%s'; see chare lb --list", name);
    }
    if (what_if->chosen_count == CHOSEN_MAX) {
        return chi_tools_misused("lb", "too many strategies");
    }
    what_if->chosen[what_if->chosen_count++] = strategy;
    return 0;
}

static int
parse_tolerance(const char *text, float *out)
{
    char *end;

    *out = strtof(text, &end);
    if (end == text || *end != '\0' || !(*out > 0 && *out < 1)) {
        return chi_tools_misused(
            "lb", "--tolerance %s: should be between 0 and 1", text);
    }
    return 0;
}

static int
parse_option(struct what_if *what_if, int option, char **argv)
{
    switch (option) {
    case 's':
        return parse_strategy(what_if, optarg);
    case 'n':
        return parse_number("--pes", optarg, CHARE_PES_MAX, &what_if->pes);
    case OPTION_SYNTHETIC:
        what_if->has_shape = true;
        return chi_synth_find(optarg, &what_if->shape)
                   ? 0
                   : chi_tools_misused(
                         "lb",
                         "--synthetic %s: should be uniform, lognormal, "
                         "onehot or clustered",
                         optarg);
    case OPTION_OBJECTS:
        return parse_number("--objects", optarg, CHI_LB_OBJECTS_MAX,
                            &what_if->objects);
    case OPTION_SEED:
        return parse_number("--seed", optarg, UINT64_MAX, &what_if->seed);
    case OPTION_TOLERANCE:
        return parse_tolerance(optarg, &what_if->tolerance);
    case OPTION_WRITE:
        what_if->write_to = optarg;
        return 0;
    case OPTION_MOVES:
        what_if->moves_to = optarg;
        return 0;
    case OPTION_CSV:
        what_if->csv = true;
        return 0;
    case ':':
        return chi_tools_misused("lb", "option '%s' needs a value",
                                 argv[optind - 1]);
    default:
        return chi_tools_misused("lb", "unknown option '%s'",
                                 argv[optind - 1]);
    }
}

static void
list_strategies(void)
{
    for (size_t i = 0; chi_lb_strategy_at(i) != NULL; i++) {
        printf("  %-14s %s\n", chi_lb_strategy_at(i)->name,
               chi_lb_strategy_at(i)->help);
    }
}

/* 0: go on; else stop, with *code_out. */
static int
parse_options(int argc, char **argv, struct what_if *what_if, int *code_out)
{
    int option;
    int code = 0;

    opterr = 0;
    while (code == 0 && (option = getopt_long(argc, argv, ":s:n:lh",
                                              long_options, NULL)) != -1) {
        if (option == 'h' || option == 'l') {
            if (option == 'h') {
                fputs(help, stdout);
            } else {
                list_strategies();
            }
            *code_out = 0;
            return 1;
        }
        code = parse_option(what_if, option, argv);
    }
    if (code == 0 && optind + !what_if->has_shape != argc) {
        code = chi_tools_misused("lb", what_if->has_shape
                                           ? "a DUMP and --synthetic?"
                                           : "which DUMP, or --synthetic?");
    }
    what_if->dump = what_if->has_shape ? NULL : argv[optind];
    *code_out = code;
    return code;
}

/* ---- loads */

static int
failed(const char *text)
{
    fprintf(stderr, "chare lb: %s\n", text);
    return EXIT_NO;
}

/* The same objects on another number of PEs. */
static int
change_pes(struct chi_lb_problem *problem, uint32_t pes)
{
    uint32_t *from = (uint32_t *)(uintptr_t)problem->from;

    for (size_t i = 0; i < problem->object_count; i++) {
        from[i] %= pes;
    }
    /* What is known of PEs is known of those; more are like the first. */
    for (uint32_t pe = 0; pes > problem->pe_count && pe < pes; pe++) {
        if (chi_lb_speed(problem, pe % problem->pe_count) != 1 ||
            chi_lb_background(problem, pe % problem->pe_count) != 0) {
            return failed("--pes: more PEs than in the dump, whose PEs "
                          "differ in speed or background");
        }
    }
    if (pes > problem->pe_count) {
        free((void *)(uintptr_t)problem->speeds);
        free((void *)(uintptr_t)problem->background);
        free((void *)(uintptr_t)problem->nodes);
        problem->speeds = NULL;
        problem->background = NULL;
        problem->nodes = NULL;
        free((void *)(uintptr_t)problem->spots);
        problem->spots = NULL;
    }
    problem->pe_count = pes;
    return 0;
}

static int
load_dump(const struct what_if *what_if, struct chi_lb_problem *problem)
{
    char error[CHI_DUMP_ERROR_BYTES];
    FILE *file =
        strcmp(what_if->dump, "-") == 0 ? stdin : fopen(what_if->dump, "r");
    chare_status status;

    if (file == NULL) {
        fprintf(stderr, "chare lb: %s: %s\n", what_if->dump, strerror(errno));
        return EXIT_NO;
    }
    status = chi_dump_read(file, what_if->dump, problem, error);
    if (file != stdin) {
        fclose(file);
    }
    if (status != CHARE_OK) {
        return failed(error);
    }
    problem->seed = what_if->seed;
    return what_if->pes == 0 ? 0 : change_pes(problem, (uint32_t)what_if->pes);
}

static int
load(const struct what_if *what_if, struct chi_lb_problem *problem)
{
    const uint32_t pes =
        what_if->pes == 0 ? PES_PRESET : (uint32_t)what_if->pes;
    const uint64_t objects = what_if->objects == 0
                                 ? (uint64_t)pes * OBJECTS_PER_PE
                                 : what_if->objects;

    if (!what_if->has_shape) {
        return load_dump(what_if, problem);
    }
    return chi_synth_make(what_if->shape, objects, pes, what_if->seed,
                          problem) == CHARE_OK
               ? 0
               : failed("out of memory");
}

static int
write_loads(const char *name, const struct chi_lb_problem *problem)
{
    FILE *file = fopen(name, "w");
    bool good;

    if (file == NULL) {
        fprintf(stderr, "chare lb: %s: %s\n", name, strerror(errno));
        return EXIT_NO;
    }
    good = chi_dump_write(file, problem, NULL) == CHARE_OK;
    good = fclose(file) == 0 && good;
    return good ? 0 : failed("the loads could not be written");
}

/* ---- the table */

static void
print_head(const struct what_if *what_if, const struct chi_lb_problem *problem,
           const struct chi_lb_quality *now)
{
    if (what_if->csv) {
        printf("strategy,makespan,ratio,moves,moved_bytes,cut_bytes,"
               "hop_bytes,decision_s\n");
        return;
    }
    printf("%zu objects on %" PRIu32 " PEs; bound %.6g s, mean %.6g s\n\n"
           "%-14s %12s %8s %10s %14s %14s %14s %10s\n",
           problem->object_count, problem->pe_count, now->bound, now->mean,
           "strategy", "time s", "ratio", "moves", "bytes", "cut", "hop",
           "decision s");
}

static void
print_row(const struct what_if *what_if, const char *name,
          const struct chi_lb_quality *quality, double seconds)
{
    const double ratio =
        quality->bound > 0 ? quality->makespan / quality->bound : 1;

    if (what_if->csv) {
        printf("%s,%.9g,%.6f,%" PRIu64 ",%" PRIu64 ",%.9g,%.9g,%.6f\n", name,
               quality->makespan, ratio, quality->moves, quality->moved_bytes,
               quality->cut_bytes, quality->hop_bytes, seconds);
    } else {
        printf("%-14s %12.6g %8.4f %10" PRIu64 " %14" PRIu64
               " %14.6g %14.6g %10.4f\n",
               name, quality->makespan, ratio, quality->moves,
               quality->moved_bytes, quality->cut_bytes, quality->hop_bytes,
               seconds);
    }
}

static void
write_moves(const struct what_if *what_if,
            const struct chi_lb_problem *problem, const char *name,
            const uint32_t *to)
{
    for (size_t i = 0; what_if->moves != NULL && i < problem->object_count;
         i++) {
        if (to[i] != problem->from[i]) {
            fprintf(what_if->moves, "%s %zu %" PRIu32 " %" PRIu32 "\n", name,
                    i, problem->from[i], to[i]);
        }
    }
}

/* One row; false: the strategy could not decide, and that was asked for. */
static bool
try_strategy(const struct what_if *what_if,
             const struct chi_lb_problem *problem,
             const struct chi_lb_strategy *strategy, uint32_t *to)
{
    struct chi_lb_quality quality;
    char text[CHI_LB_TEXT_BYTES];
    const uint64_t start_ns = chi_clock_now_ns(&chi_clock_real);
    chare_status status = chi_lb_decide(strategy, problem, to, text);
    const uint64_t took_ns = chi_clock_now_ns(&chi_clock_real) - start_ns;

    if (status == CHARE_OK) {
        status = chi_lb_evaluate(problem, to, &quality);
    }
    if (status != CHARE_OK) {
        fprintf(stderr, "chare lb: %s: %s\n", strategy->name, text);
        return what_if->chosen_count == 0;
    }
    print_row(what_if, strategy->name, &quality,
              (double)took_ns / (double)CHI_NS_PER_SEC);
    write_moves(what_if, problem, strategy->name, to);
    return true;
}

static int
show_all(struct what_if *what_if, const struct chi_lb_problem *problem)
{
    uint32_t *to = malloc((problem->object_count + 1) * sizeof(*to));
    const struct chi_lb_strategy *strategy;
    struct chi_lb_quality now;
    bool good = true;

    if (to == NULL ||
        chi_lb_evaluate(problem, problem->from, &now) != CHARE_OK) {
        free(to);
        return failed("out of memory");
    }
    print_head(what_if, problem, &now);
    for (size_t i = 0; i < what_if->chosen_count; i++) {
        good &= try_strategy(what_if, problem, what_if->chosen[i], to);
    }
    for (size_t i = 0; what_if->chosen_count == 0 &&
                       (strategy = chi_lb_strategy_at(i)) != NULL;
         i++) {
        good &= try_strategy(what_if, problem, strategy, to);
    }
    free(to);
    return good ? 0 : EXIT_NO;
}

static int
run(struct what_if *what_if)
{
    struct chi_lb_problem problem;
    int code = load(what_if, &problem);

    if (code != 0) {
        return code;
    }
    if (what_if->tolerance > 0) {
        problem.tolerance = what_if->tolerance;
    }
    if (what_if->write_to != NULL) {
        code = write_loads(what_if->write_to, &problem);
    }
    if (what_if->moves_to != NULL) {
        what_if->moves = fopen(what_if->moves_to, "w");
        if (what_if->moves == NULL) {
            code = failed(what_if->moves_to);
        }
    }
    if (code == 0) {
        code = show_all(what_if, &problem);
    }
    if (what_if->moves != NULL && fclose(what_if->moves) != 0) {
        code = failed("the moves could not be written");
    }
    chi_lb_problem_free(&problem);
    return code;
}

int
chi_tools_lb(int argc, char **argv)
{
    struct what_if what_if = {.seed = 1};
    int code;

    if (parse_options(argc, argv, &what_if, &code) != 0) {
        return code;
    }
    return run(&what_if);
}
