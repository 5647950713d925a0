/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * driver.c - runs a fuzz target for a second or so, where libFuzzer is not.
 *
 *   fuzz_X                 the corpus and random changes of it, as TAP
 *   fuzz_X --seed SEED     one round again, in this process (for a debugger)
 *   fuzz_X --unpack DIR    write the corpus as files, for libFuzzer
 *   fuzz_X FILE...         these inputs, such as libFuzzer leaves behind
 *
 * The corpus is tests/data/fuzz/X.hex: one input a line in hex digits, the
 * rest of a line from '#' is a comment. Each round runs in a process of its
 * own, so that the seed of one that dies can be told. The seeds are the same
 * each time; CHARE_TEST_FIRST_SEED and CHARE_TEST_SEEDS choose others.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/prng.h"
#include "fuzz/fuzz.h"

enum {
    ROUNDS = 16,
    INPUTS_PER_ROUND = 20000,
    CHANGES_MAX = 6,
    CORPUS_MAX = 256,
    INPUT_BYTES_MAX = 1024,
};

struct input {
    size_t size;
    uint8_t bytes[INPUT_BYTES_MAX];
};

struct corpus {
    size_t count;
    struct input inputs[CORPUS_MAX];
};

/* ---- corpus */

static bool
hex_parse(const char *line, struct input *out)
{
    out->size = 0;
    for (;;) {
        unsigned byte;
        int used;

        line += strspn(line, " \t\n");
        if (*line == '\0' || *line == '#') {
            return true;
        }
        if (out->size == INPUT_BYTES_MAX ||
            sscanf(line, "%2x%n", &byte, &used) != 1 || used != 2) {
            return false;
        }
        out->bytes[out->size++] = (uint8_t)byte;
        line += used;
    }
}

static bool
corpus_load(struct corpus *corpus, const char *path)
{
    char line[4 * INPUT_BYTES_MAX];
    FILE *file = fopen(path, "r");
    bool ok = file != NULL;

    corpus->count = 0;
    while (ok && fgets(line, sizeof(line), file) != NULL) {
        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        ok = corpus->count < CORPUS_MAX &&
             hex_parse(line, &corpus->inputs[corpus->count]);
        corpus->count += ok;
    }
    if (file != NULL) {
        fclose(file);
    }
    return ok && corpus->count > 0;
}

static bool
corpus_unpack(const struct corpus *corpus, const char *folder)
{
    bool ok = true;

    for (size_t i = 0; ok && i < corpus->count; i++) {
        const struct input *input = &corpus->inputs[i];
        char path[1024];
        FILE *file;

        snprintf(path, sizeof(path), "%s/seed-%zu", folder, i);
        file = fopen(path, "wb");
        ok = file != NULL &&
             fwrite(input->bytes, 1, input->size, file) == input->size;
        ok = file != NULL && fclose(file) == 0 && ok;
    }
    return ok;
}

/* ---- random changes */

static void
remove_block(struct chi_prng *prng, struct input *input)
{
    const size_t at = chi_prng_below(prng, input->size);
    const size_t len = 1 + chi_prng_below(prng, input->size - at);

    memmove(input->bytes + at, input->bytes + at + len,
            input->size - at - len);
    input->size -= len;
}

static void
repeat_block(struct chi_prng *prng, struct input *input)
{
    const size_t at = chi_prng_below(prng, input->size);
    size_t len = 1 + chi_prng_below(prng, input->size - at);

    len = len < INPUT_BYTES_MAX - input->size ? len
                                              : INPUT_BYTES_MAX - input->size;
    memmove(input->bytes + at + len, input->bytes + at, input->size - at);
    input->size += len;
}

/* A number of some size that is often a border of something. */
static void
plant_number(struct chi_prng *prng, struct input *input)
{
    static const uint64_t numbers[] = {
        0,          1,          7,          8,          16,
        0x7f,       0x80,       0xfe,       0xff,       0x7fff,
        0xffff,     0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32,
        1ull << 60, 1ull << 62, 1ull << 63, UINT64_MAX, UINT64_MAX - 7,
    };
    const uint64_t number =
        numbers[chi_prng_below(prng, sizeof(numbers) / sizeof(numbers[0]))];
    const size_t at = chi_prng_below(prng, input->size);
    const size_t len = (size_t)1 << chi_prng_below(prng, 4);

    memcpy(input->bytes + at, &number,
           len < input->size - at ? len : input->size - at);
}

/* The head of this one and the tail of another. */
static void
cross(struct chi_prng *prng, struct input *input, const struct input *other)
{
    const size_t head = chi_prng_below(prng, input->size + 1);
    const size_t from = chi_prng_below(prng, other->size + 1);
    size_t tail = other->size - from;

    tail = tail < INPUT_BYTES_MAX - head ? tail : INPUT_BYTES_MAX - head;
    memcpy(input->bytes + head, other->bytes + from, tail);
    input->size = head + tail;
}

static void
change(struct chi_prng *prng, const struct corpus *corpus, struct input *input)
{
    const struct input *other =
        &corpus->inputs[chi_prng_below(prng, corpus->count)];
    const uint64_t choice = chi_prng_below(prng, 8);
    const size_t at = input->size == 0 ? 0 : chi_prng_below(prng, input->size);

    if (choice == 0 || input->size == 0) {
        cross(prng, input, other);
    } else if (choice == 1) {
        remove_block(prng, input);
    } else if (choice == 2) {
        repeat_block(prng, input);
    } else if (choice == 3) {
        plant_number(prng, input);
    } else if (choice == 4) {
        input->bytes[at] ^= (uint8_t)(1u << chi_prng_below(prng, 8));
    } else if (choice == 5) {
        input->size = at;
    } else {
        input->bytes[at] = (uint8_t)chi_prng_next(prng);
    }
}

static void
run_round(const struct corpus *corpus, uint64_t seed)
{
    struct chi_prng prng;
    struct input input;

    chi_prng_init(&prng, seed);
    for (int i = 0; i < INPUTS_PER_ROUND; i++) {
        uint64_t changes = 1 + chi_prng_below(&prng, CHANGES_MAX);

        input = corpus->inputs[chi_prng_below(&prng, corpus->count)];
        while (changes-- > 0) {
            change(&prng, corpus, &input);
        }
        LLVMFuzzerTestOneInput(input.bytes, input.size);
    }
}

/* ---- ways to run */

/* Run a round, or for seed 0 the corpus itself, in a process of its own. */
static bool
round_survives(const struct corpus *corpus, uint64_t seed)
{
    pid_t child;
    int status;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        for (size_t i = 0; seed == 0 && i < corpus->count; i++) {
            LLVMFuzzerTestOneInput(corpus->inputs[i].bytes,
                                   corpus->inputs[i].size);
        }
        if (seed != 0) {
            run_round(corpus, seed);
        }
        _exit(EXIT_SUCCESS);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static int
run_tap(const struct corpus *corpus, const char *program)
{
    const uint64_t first = setting("CHARE_TEST_FIRST_SEED", 1);
    const uint64_t rounds = setting("CHARE_TEST_SEEDS", ROUNDS);
    bool ok = round_survives(corpus, 0);

    printf("1..2\n%s 1 - corpus\n", ok ? "ok" : "not ok");
    for (uint64_t i = 0; i < rounds; i++) {
        const uint64_t seed = first + i;

        if (!round_survives(corpus, seed)) {
            ok = false;
            printf("# again: %s --seed %llu\n", program,
                   (unsigned long long)seed);
            break;
        }
    }
    printf("%s 2 - random changes\n", ok ? "ok" : "not ok");
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
run_files(char **paths)
{
    for (; *paths != NULL; paths++) {
        static uint8_t bytes[1 << 20];
        FILE *file = fopen(*paths, "rb");
        size_t size;

        if (file == NULL) {
            perror(*paths);
            return EXIT_FAILURE;
        }
        size = fread(bytes, 1, sizeof(bytes), file);
        fclose(file);
        LLVMFuzzerTestOneInput(bytes, size);
    }
    return EXIT_SUCCESS;
}

/* "fuzz_codec" of ".../lt-fuzz_codec" gives ".../tests/data/fuzz/codec.hex".*/
static void
corpus_path(const char *program, char *out, size_t room)
{
    const char *top = getenv("top_srcdir");
    const char *name = strstr(program, "fuzz_");

    while (name != NULL && strstr(name + 1, "fuzz_") != NULL) {
        name = strstr(name + 1, "fuzz_");
    }
    snprintf(out, room, "%s/tests/data/fuzz/%s.hex", top == NULL ? "." : top,
             name == NULL ? "?" : name + 5);
}

int
main(int argc, char **argv)
{
    static struct corpus corpus;
    char path[1024];

    if (argc > 1 && argv[1][0] != '-') {
        return run_files(argv + 1);
    }
    corpus_path(argv[0], path, sizeof(path));
    if (!corpus_load(&corpus, path)) {
        printf("Bail out! %s: missing or malformed\n", path);
        return EXIT_FAILURE;
    }
    if (argc == 3 && strcmp(argv[1], "--seed") == 0) {
        run_round(&corpus, strtoull(argv[2], NULL, 10));
        return EXIT_SUCCESS;
    }
    if (argc == 3 && strcmp(argv[1], "--unpack") == 0) {
        return corpus_unpack(&corpus, argv[2]) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    return run_tap(&corpus, argv[0]);
}
