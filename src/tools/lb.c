/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lb.c - 'chare lb': what would each strategy have done?
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "lb/dump.h"
#include "lb/strategies/strategy.h"
#include "lb/synth.h"
#include "tools/lb_table.h"
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
    "Replay the loads of a run (CHARE_LB_DUMP=DUMP) through balancing\n"
    "strategies: what would the slowest PE have, what would move?\n"
    "DUMP may be '-', standard input.\n"
    "\n"
    "  -s, --strategy NAME   only this one (again: this one too)\n"
    "  -n, --pes N           on N PEs: objects of PE p are on p modulo N; "
    "PEs\n"
    "                        that the run did not have are as fast as p "
    "modulo\n"
    "                        what it had, with the least background of "
    "those,\n"
    "                        16 on a node of their own; with --synthetic: "
    "how many\n"
    "                        (16)\n"
    "      --synthetic SHAPE made-up loads: uniform, lognormal, onehot (one "
    "PE\n"
    "                        has 20 times the others), clustered in space\n"
    "      --objects N       how many to make up (default 10 for each PE)\n"
    "      --seed N          for what is left to chance (default: as in the\n"
    "                        run; 1)\n"
    "      --tolerance X     work above the bound that is not worth a move\n"
    "                        (default 0.02)\n"
    "      --noise X         the part of the time that has to be won, or\n"
    "                        greedy-refine, refine and hierarchical move\n"
    "                        nothing (default: as in the run; 0 with --pes)\n"
    "      --write FILE      also write the loads, as a dump, to FILE\n"
    "      --moves FILE      also write where each object goes: strategy,\n"
    "                        object, from, to\n"
    "      --csv, --json     print the table for programs; what is unknown "
    "is\n"
    "                        empty, or null. 'chare lb --json DUMP | python3 "
    "-m\n"
    "                        chare.lbplot - FILE.svg' draws it\n"
    "  -l, --list            list the strategies\n"
    "  -h, --help            show this text\n"
    "\n"
    "bound      seconds that no assignment can do with less than: the mean "
    "of\n"
    "           all PEs, the largest object, or what some PE cannot get rid "
    "of\n"
    "time       seconds of the PE that has most\n"
    "ratio      that over the bound\n"
    "moves      objects that move\n"
    "bytes      of those, where they are known (of what has moved in the "
    "run)\n"
    "cut        bytes between objects on different PEs (CHARE_LB_COMM=1)\n"
    "hop        the same, each byte times how far it goes: 1 in a cache, 2 in "
    "a\n"
    "           NUMA node, 3 in a node, 5 between nodes, 2 more for each "
    "level\n"
    "           of switches\n"
    "decision   seconds that the strategy took, here in one process\n"
    "\n"
    "k is 1000, M a million and so on; '-': the run did not say.\n";

struct what_if {
    const char *dump;
    const struct chi_lb_strategy *chosen[CHOSEN_MAX];
    size_t chosen_count;
    bool has_shape;
    bool has_seed;
    enum chi_lb_table_form form;
    enum chi_synth_shape shape;
    uint64_t pes;
    uint64_t objects;
    uint64_t seed;
    float tolerance;
    float noise; /* below 0: what the dump says */
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
    OPTION_JSON,
    OPTION_NOISE,
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
    {"noise", required_argument, NULL, OPTION_NOISE},
    {"csv", no_argument, NULL, OPTION_CSV},
    {"json", no_argument, NULL, OPTION_JSON},
    {"list", no_argument, NULL, 'l'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* ---- options; each parser returns 0, or the exit code */

static int
parse_number(const char *option, const char *text, uint64_t least,
             uint64_t limit, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
        *out < least || *out > limit) {
        return chi_tools_misused(
            "lb", "%s %s: should be a number from %" PRIu64 " to %" PRIu64,
            option, text, least, limit);
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
parse_part(const char *option, const char *text, bool may_be_0, float *out)
{
    char *end;

    *out = strtof(text, &end);
    if (end == text || *end != '\0' || !(*out >= 0 && *out < 1) ||
        (*out == 0 && !may_be_0)) {
        return chi_tools_misused("lb", "%s %s: should be between 0 and 1",
                                 option, text);
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
        return parse_number("--pes", optarg, 1, CHARE_PES_MAX, &what_if->pes);
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
        return parse_number("--objects", optarg, 1, CHI_LB_OBJECTS_MAX,
                            &what_if->objects);
    case OPTION_SEED:
        what_if->has_seed = true;
        return parse_number("--seed", optarg, 0, UINT64_MAX, &what_if->seed);
    case OPTION_TOLERANCE:
        return parse_part("--tolerance", optarg, false, &what_if->tolerance);
    case OPTION_NOISE:
        return parse_part("--noise", optarg, true, &what_if->noise);
    case OPTION_WRITE:
        what_if->write_to = optarg;
        return 0;
    case OPTION_MOVES:
        what_if->moves_to = optarg;
        return 0;
    case OPTION_CSV:
        what_if->form = CHI_LB_TABLE_CSV;
        return 0;
    case OPTION_JSON:
        what_if->form = CHI_LB_TABLE_JSON;
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
        printf("  %-13s %s\n", chi_lb_strategy_at(i)->name,
               chi_lb_strategy_at(i)->help);
    }
    printf("\nIn a job also auto: the one of them that wins most, if it is "
           "worth it.\nNames of Charm4py's, such as GreedyRefineLB, are "
           "known, too.\n");
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
    if (code == 0 && !what_if->has_shape && what_if->objects != 0) {
        code = chi_tools_misused("lb", "--objects is for --synthetic");
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

/* The new ones on nodes of their own. */
static void
place_pes(const struct chi_lb_problem *problem, uint32_t pes, uint32_t *nodes,
          struct chi_lb_spot *spots)
{
    const uint32_t had = problem->pe_count;
    uint32_t node = 0;

    for (uint32_t pe = 0; pe < had; pe++) {
        nodes[pe] = chi_lb_node(problem, pe);
        node = nodes[pe] >= node ? nodes[pe] + 1 : node;
    }
    for (uint32_t pe = had; pe < pes; pe++) {
        nodes[pe] = node + (pe - had) / CHI_LB_NODE_PES;
    }
    for (uint32_t pe = 0; spots != NULL && pe < pes; pe++) {
        spots[pe] = pe < had
                        ? problem->spots[pe]
                        : (struct chi_lb_spot){.package = CHI_LB_SPOT_UNKNOWN,
                                               .numa = CHI_LB_SPOT_UNKNOWN,
                                               .cache = CHI_LB_SPOT_UNKNOWN,
                                               .core = CHI_LB_SPOT_UNKNOWN};
    }
}

/* PEs that the run did not have. */
static int
add_pes(struct chi_lb_problem *problem, uint32_t pes)
{
    const bool has_spots = problem->spots != NULL;
    const uint32_t had = problem->pe_count;
    float *speeds = malloc(pes * sizeof(*speeds));
    float *background = malloc(pes * sizeof(*background));
    uint32_t *nodes = malloc(pes * sizeof(*nodes));
    struct chi_lb_spot *spots =
        has_spots ? malloc(pes * sizeof(*spots)) : NULL;
    float least = chi_lb_background(problem, 0);

    if (speeds == NULL || background == NULL || nodes == NULL ||
        (has_spots && spots == NULL)) {
        free(speeds);
        free(background);
        free(nodes);
        free(spots);
        return failed("out of memory");
    }
    for (uint32_t pe = 1; pe < had; pe++) {
        least = fminf(least, chi_lb_background(problem, pe));
    }
    for (uint32_t pe = 0; pe < pes; pe++) {
        speeds[pe] = chi_lb_speed(problem, pe % had);
        background[pe] = pe < had ? chi_lb_background(problem, pe) : least;
    }
    place_pes(problem, pes, nodes, spots);
    free((void *)(uintptr_t)problem->speeds);
    free((void *)(uintptr_t)problem->background);
    free((void *)(uintptr_t)problem->nodes);
    free((void *)(uintptr_t)problem->spots);
    problem->speeds = speeds;
    problem->background = background;
    problem->nodes = nodes;
    problem->spots = spots;
    return 0;
}

/* The same objects on another number of PEs. */
static int
change_pes(struct chi_lb_problem *problem, uint32_t pes)
{
    uint32_t *from = (uint32_t *)(uintptr_t)problem->from;
    int code = 0;

    if (pes > problem->pe_count) {
        code = add_pes(problem, pes);
    }
    for (size_t i = 0; pes < problem->pe_count && i < problem->object_count;
         i++) {
        from[i] %= pes;
    }
    if (pes != problem->pe_count) {
        problem->noise = 0; /* it was that of others */
    }
    problem->pe_count = pes;
    return code;
}

static int
load_dump(const struct what_if *what_if, struct chi_lb_problem *problem)
{
    char error[CHI_DUMP_ERROR_BYTES];
    FILE *file =
        strcmp(what_if->dump, "-") == 0 ? stdin : fopen(what_if->dump, "r");
    chare_status status;
    int code = 0;

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
    if (what_if->has_seed) {
        problem->seed = what_if->seed;
    }
    if (what_if->pes != 0) {
        code = change_pes(problem, (uint32_t)what_if->pes);
    }
    if (code == 0 && chi_lb_problem_check(problem, error) != CHARE_OK) {
        code = failed(error);
    }
    if (code != 0) {
        chi_lb_problem_free(problem);
    }
    return code;
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

/* ---- trying them */

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

/* One row; false: nobody reads them, or the strategy could not decide, and
 * that was asked for. */
static bool
try_strategy(const struct what_if *what_if,
             const struct chi_lb_problem *problem,
             const struct chi_lb_strategy *strategy,
             struct chi_lb_table *table, uint32_t *to)
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
    write_moves(what_if, problem, strategy->name, to);
    chi_lb_table_row(table, strategy->name, &quality,
                     (double)took_ns / (double)CHI_NS_PER_SEC);
    if (table->broken) {
        fprintf(stderr, "chare lb: cannot write standard output: %s\n",
                strerror(errno));
        clearerr(stdout); /* it has been said */
        return false;
    }
    return true;
}

static int
show_all(struct what_if *what_if, const struct chi_lb_problem *problem)
{
    uint32_t *to = malloc((problem->object_count + 1) * sizeof(*to));
    const struct chi_lb_strategy *strategy;
    struct chi_lb_table table;
    struct chi_lb_quality now;
    bool good = true;

    if (to == NULL ||
        chi_lb_evaluate(problem, problem->from, &now) != CHARE_OK) {
        free(to);
        return failed("out of memory");
    }
    chi_lb_table_begin(&table, what_if->form, problem, &now);
    for (size_t i = 0; !table.broken && i < what_if->chosen_count; i++) {
        good &= try_strategy(what_if, problem, what_if->chosen[i], &table, to);
    }
    for (size_t i = 0; !table.broken && what_if->chosen_count == 0 &&
                       (strategy = chi_lb_strategy_at(i)) != NULL;
         i++) {
        good &= try_strategy(what_if, problem, strategy, &table, to);
    }
    chi_lb_table_end(&table);
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
    if (what_if->noise >= 0) {
        problem.noise = what_if->noise;
    }
    if (what_if->write_to != NULL) {
        code = write_loads(what_if->write_to, &problem);
    }
    if (code == 0 && what_if->moves_to != NULL) {
        what_if->moves = fopen(what_if->moves_to, "w");
        if (what_if->moves == NULL) {
            fprintf(stderr, "chare lb: %s: %s\n", what_if->moves_to,
                    strerror(errno));
            code = EXIT_NO;
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
    struct what_if what_if = {.seed = 1, .noise = -1};
    int code;

    if (parse_options(argc, argv, &what_if, &code) != 0) {
        return code;
    }
    return run(&what_if);
}
