/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dump.c - reading loads as text.
 *
 * Reading checks every line; what is wrong is said with the file's name and
 * the line's number.
 */
#include "config.h"

#include "lb/dump.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lb/synth.h"

enum {
    ROOM_FIRST = 1024,
};

static const uint64_t NOT_SAID = UINT64_MAX;

struct talk {
    uint32_t a;
    uint32_t b;
    float bytes;
    float messages;
};

struct reading {
    const char *name;
    unsigned long line;
    char *error;
    char *at; /* the rest of the line */
    bool versioned;
    bool whole;            /* the last line that was read has its end */
    uint64_t objects_said; /* how many there are to be; or NOT_SAID */
    uint64_t talks_said;
    size_t object_room;
    struct talk *talks;
    size_t talk_count;
    size_t talk_room;
    bool has_places;

    /* What 'out' points to, writable. */
    struct chi_lb_problem *out;
    float *work;
    uint32_t *from;
    uint64_t *bytes;
    float *places;
    uint8_t *fixed;
    float *speeds;
    float *background;
    uint32_t *nodes;
    struct chi_lb_spot *spots;
    bool has_spots;
    bool has_messages; /* all talks say how many */
};

__attribute__((format(printf, 2, 3))) static chare_status
complain(struct reading *reading, const char *format, ...)
{
    char text[CHI_LB_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (char *at = text; *at != '\0'; at++) { /* it may be any file's */
        *at = iscntrl((unsigned char)*at) ? '?' : *at;
    }
    snprintf(reading->error, CHI_DUMP_ERROR_BYTES, "%.*s:%lu: %s",
             CHI_DUMP_LINE_BYTES_MAX - 64, reading->name, reading->line, text);
    return CHARE_ERR_FORMAT;
}

static chare_status
no_memory(struct reading *reading)
{
    snprintf(reading->error, CHI_DUMP_ERROR_BYTES, "%.*s: out of memory",
             CHI_DUMP_LINE_BYTES_MAX - 64, reading->name);
    return CHARE_ERR_NO_MEMORY;
}

static chare_status
no_dump(struct reading *reading)
{
    return complain(reading,
                    "no dump of loads: one begins with 'chare-load %d'",
                    CHI_DUMP_VERSION);
}

/* ---- words */

/* The next word of the line, or NULL. */
static char *
next_word(struct reading *reading)
{
    char *word;

    while (isspace((unsigned char)*reading->at)) {
        reading->at++;
    }
    if (*reading->at == '\0') {
        return NULL;
    }
    word = reading->at;
    while (*reading->at != '\0' && !isspace((unsigned char)*reading->at)) {
        reading->at++;
    }
    if (*reading->at != '\0') {
        *reading->at++ = '\0';
    }
    return word;
}

static chare_status
read_count(struct reading *reading, const char *what, const char *word,
           uint64_t limit, uint64_t *out)
{
    char *end;

    if (word == NULL) {
        return complain(reading, "%s is missing", what);
    }
    errno = 0;
    *out = strtoull(word, &end, 10);
    if (!isdigit((unsigned char)word[0]) || *end != '\0' || errno != 0 ||
        *out >= limit) {
        return complain(reading,
                        "%s '%.40s' should be a number below %" PRIu64, what,
                        word, limit);
    }
    return CHARE_OK;
}

static chare_status
read_amount(struct reading *reading, const char *what, const char *word,
            float *out)
{
    char *end;

    if (word == NULL) {
        return complain(reading, "%s is missing", what);
    }
    *out = strtof(word, &end);
    if (end == word || *end != '\0' || !isfinite(*out) || *out < 0) {
        return complain(reading, "%s '%.40s' should be a number, not below 0",
                        what, word);
    }
    return CHARE_OK;
}

/* "1,2.5": coordinates, as many as in the objects before. */
static chare_status
read_place(struct reading *reading, const char *word, size_t object)
{
    float place[CHI_LB_DIMS_MAX] = {0};
    uint32_t dims = 0;
    const char *at = word;

    for (;;) {
        char *end;
        const float value = strtof(at, &end);

        if (end == at || !isfinite(value) || dims == CHI_LB_DIMS_MAX ||
            (*end != ',' && *end != '\0')) {
            return complain(reading,
                            "at '%.40s' should be 1 to %d numbers, separated "
                            "by commas",
                            word, CHI_LB_DIMS_MAX);
        }
        place[dims++] = value;
        if (*end == '\0') {
            break;
        }
        at = end + 1;
    }
    if (reading->out->dims != 0 && reading->out->dims != dims) {
        return complain(reading,
                        "at '%.40s' has %" PRIu32
                        " numbers, that of objects before %" PRIu32,
                        word, dims, reading->out->dims);
    }
    if (object > 0 && !reading->has_places) {
        return complain(reading, "only some of the objects have 'at'");
    }
    reading->out->dims = dims;
    reading->has_places = true;
    memcpy(reading->places + object * CHI_LB_DIMS_MAX, place, sizeof(place));
    return CHARE_OK;
}

/* Split "key=value"; NULL when there is no '='. */
static char *
value_of(struct reading *reading, char *word, chare_status *status_out)
{
    char *equals = strchr(word, '=');

    *status_out = CHARE_OK;
    if (equals == NULL) {
        *status_out = complain(reading, "'%.40s' should be key=value", word);
        return NULL;
    }
    *equals = '\0';
    return equals + 1;
}

/* ---- lines */

static chare_status
read_version(struct reading *reading)
{
    uint64_t version;
    chare_status status =
        read_count(reading, "the version", next_word(reading), 1000, &version);

    if (status == CHARE_OK && version != CHI_DUMP_VERSION) {
        status =
            complain(reading, "version %" PRIu64 "; this program reads %d",
                     version, CHI_DUMP_VERSION);
    }
    reading->versioned = true;
    return status;
}

/* Any number of 64 bits. */
static chare_status
read_seed(struct reading *reading, const char *value)
{
    char *end;

    errno = 0;
    reading->out->seed = strtoull(value, &end, 10);
    return isdigit((unsigned char)value[0]) && *end == '\0' && errno == 0
               ? CHARE_OK
               : complain(reading,
                          "seed '%.40s' should be a number up to %" PRIu64,
                          value, UINT64_MAX);
}

static chare_status
read_noise(struct reading *reading, const char *value)
{
    const chare_status status =
        read_amount(reading, "noise", value, &reading->out->noise);

    return status != CHARE_OK || reading->out->noise < 1
               ? status
               : complain(reading,
                          "noise '%.40s' should be below 1: it is a part of "
                          "the time",
                          value);
}

/* What is said of the whole; words that are unknown are passed over. */
static chare_status
read_pes_words(struct reading *reading)
{
    chare_status status = CHARE_OK;
    char *word;

    while (status == CHARE_OK && (word = next_word(reading)) != NULL) {
        const char *value = value_of(reading, word, &status);

        if (value == NULL) {
            break;
        }
        if (strcmp(word, "objects") == 0) {
            status =
                read_count(reading, word, value, CHI_LB_OBJECTS_MAX + 1ull,
                           &reading->objects_said);
        } else if (strcmp(word, "talks") == 0) {
            status = read_count(reading, word, value, NOT_SAID,
                                &reading->talks_said);
        } else if (strcmp(word, "seed") == 0) {
            status = read_seed(reading, value);
        } else if (strcmp(word, "noise") == 0) {
            status = read_noise(reading, value);
        }
    }
    return status;
}

static chare_status
make_pes(struct reading *reading, uint32_t count)
{
    reading->speeds = malloc(count * sizeof(*reading->speeds));
    reading->background = calloc(count, sizeof(*reading->background));
    reading->nodes = malloc(count * sizeof(*reading->nodes));
    reading->spots = malloc(count * sizeof(*reading->spots));
    if (reading->speeds == NULL || reading->background == NULL ||
        reading->nodes == NULL || reading->spots == NULL) {
        return no_memory(reading);
    }
    for (uint32_t pe = 0; pe < count; pe++) {
        reading->speeds[pe] = 1;
        reading->nodes[pe] = pe / CHI_LB_NODE_PES;
        reading->spots[pe] = (struct chi_lb_spot){
            .package = CHI_LB_SPOT_UNKNOWN,
            .numa = CHI_LB_SPOT_UNKNOWN,
            .cache = CHI_LB_SPOT_UNKNOWN,
            .core = CHI_LB_SPOT_UNKNOWN,
        };
    }
    reading->out->pe_count = count;
    return CHARE_OK;
}

static chare_status
read_pes(struct reading *reading)
{
    uint64_t count;
    chare_status status =
        read_count(reading, "how many PEs", next_word(reading),
                   CHARE_PES_MAX + 1ull, &count);

    if (status == CHARE_OK && (count == 0 || reading->out->pe_count != 0)) {
        status = complain(reading, "'pes' should come once, and not be 0");
    }
    if (status == CHARE_OK) {
        status = make_pes(reading, (uint32_t)count);
    }
    return status == CHARE_OK ? read_pes_words(reading) : status;
}

/* "3.14": switches, outermost first. */
static chare_status
read_switches(struct reading *reading, const char *word,
              struct chi_lb_spot *spot)
{
    const char *at = word;

    spot->switch_levels = 0;
    for (;;) {
        char *end;
        const unsigned long value = strtoul(at, &end, 10);

        if (!isdigit((unsigned char)*at) || value > UINT32_MAX ||
            spot->switch_levels == CHI_LB_SWITCHES_MAX ||
            (*end != '.' && *end != '\0')) {
            return complain(reading,
                            "switch '%.40s' should be 1 to %d numbers, "
                            "separated by dots",
                            word, CHI_LB_SWITCHES_MAX);
        }
        spot->switches[spot->switch_levels++] = (uint32_t)value;
        if (*end == '\0') {
            return CHARE_OK;
        }
        at = end + 1;
    }
}

/* A word of where a PE is; words that are unknown are passed over. */
static chare_status
read_spot_word(struct reading *reading, uint64_t pe, const char *key,
               const char *value)
{
    struct chi_lb_spot *spot = &reading->spots[pe];
    const struct {
        const char *key;
        uint16_t *at;
    } parts[] = {
        {"package", &spot->package},
        {"numa", &spot->numa},
        {"cache", &spot->cache},
        {"core", &spot->core},
    };

    if (strcmp(key, "switch") == 0) {
        reading->has_spots = true;
        return read_switches(reading, value, spot);
    }
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(key, parts[i].key) == 0) {
            uint64_t number = 0;
            const chare_status status =
                read_count(reading, key, value, CHI_LB_SPOT_UNKNOWN, &number);

            reading->has_spots = true;
            *parts[i].at = (uint16_t)number;
            return status;
        }
    }
    return CHARE_OK;
}

static chare_status
read_pe(struct reading *reading)
{
    uint64_t pe;
    uint64_t node;
    char *word;
    chare_status status = read_count(reading, "the PE", next_word(reading),
                                     reading->out->pe_count, &pe);

    while (status == CHARE_OK && (word = next_word(reading)) != NULL) {
        const char *value = value_of(reading, word, &status);

        if (value == NULL) {
            break;
        }
        if (strcmp(word, "speed") == 0) {
            status =
                read_amount(reading, "speed", value, &reading->speeds[pe]);
        } else if (strcmp(word, "background") == 0) {
            status = read_amount(reading, "background", value,
                                 &reading->background[pe]);
        } else if (strcmp(word, "node") == 0) {
            status = read_count(reading, "node", value, CHARE_PES_MAX, &node);
            reading->nodes[pe] = (uint32_t)node;
        } else {
            status = read_spot_word(reading, pe, word, value);
        }
    }
    return status;
}

static chare_status
grow_objects(struct reading *reading)
{
    const size_t room =
        reading->object_room == 0 ? ROOM_FIRST : 2 * reading->object_room;
    float *work = realloc(reading->work, room * sizeof(*work));
    uint32_t *from;
    uint64_t *bytes;
    float *places;
    uint8_t *fixed;

    reading->work = work != NULL ? work : reading->work;
    from = realloc(reading->from, room * sizeof(*from));
    reading->from = from != NULL ? from : reading->from;
    bytes = realloc(reading->bytes, room * sizeof(*bytes));
    reading->bytes = bytes != NULL ? bytes : reading->bytes;
    places =
        realloc(reading->places, room * CHI_LB_DIMS_MAX * sizeof(*places));
    reading->places = places != NULL ? places : reading->places;
    fixed = realloc(reading->fixed, room);
    reading->fixed = fixed != NULL ? fixed : reading->fixed;
    if (work == NULL || from == NULL || bytes == NULL || places == NULL ||
        fixed == NULL) {
        return no_memory(reading);
    }
    reading->object_room = room;
    return CHARE_OK;
}

static chare_status
read_object_word(struct reading *reading, size_t object, const char *key,
                 const char *value)
{
    uint64_t count = 0;
    chare_status status = CHARE_OK;

    if (strcmp(key, "pe") == 0) {
        status =
            read_count(reading, "pe", value, reading->out->pe_count, &count);
        reading->from[object] = (uint32_t)count;
    } else if (strcmp(key, "load") == 0) {
        status = read_amount(reading, "load", value, &reading->work[object]);
    } else if (strcmp(key, "bytes") == 0) {
        status = read_count(reading, "bytes", value, UINT64_MAX,
                            &reading->bytes[object]);
    } else if (strcmp(key, "fixed") == 0) {
        status = read_count(reading, "fixed", value, 2, &count);
        reading->fixed[object] = (uint8_t)count;
    } else if (strcmp(key, "at") == 0) {
        status = read_place(reading, value, object);
    }
    return status;
}

static chare_status
read_object(struct reading *reading)
{
    const size_t object = reading->out->object_count;
    uint64_t number;
    char *word;
    chare_status status = read_count(reading, "the object", next_word(reading),
                                     (uint64_t)CHI_LB_OBJECTS_MAX, &number);

    if (status == CHARE_OK && number != object) {
        status = complain(reading, "object %" PRIu64 " where %zu comes next",
                          number, object);
    }
    if (status == CHARE_OK && object == reading->object_room) {
        status = grow_objects(reading);
    }
    if (status != CHARE_OK) {
        return status;
    }
    reading->from[object] = UINT32_MAX;
    reading->work[object] = -1;
    reading->bytes[object] = 0;
    reading->fixed[object] = 0;
    reading->out->object_count++;
    while (status == CHARE_OK && (word = next_word(reading)) != NULL) {
        const char *value = value_of(reading, word, &status);

        if (value != NULL) {
            status = read_object_word(reading, object, word, value);
        }
    }
    if (status == CHARE_OK &&
        (reading->from[object] == UINT32_MAX || reading->work[object] < 0)) {
        status = complain(reading, "an object needs pe= and load=");
    }
    return status;
}

static chare_status
read_talk(struct reading *reading)
{
    const uint64_t objects = reading->out->object_count;
    uint64_t a = 0;
    uint64_t b = 0;
    float bytes = 0;
    float messages = -1;
    char *word;
    chare_status status =
        read_count(reading, "an object", next_word(reading), objects, &a);

    if (status == CHARE_OK) {
        status = read_count(reading, "the other object", next_word(reading),
                            objects, &b);
    }
    if (status == CHARE_OK) {
        status = read_amount(reading, "the bytes", next_word(reading), &bytes);
    }
    while (status == CHARE_OK && (word = next_word(reading)) != NULL) {
        const char *value = value_of(reading, word, &status);

        if (value != NULL && strcmp(word, "messages") == 0) {
            status = read_amount(reading, "messages", value, &messages);
        }
    }
    if (status != CHARE_OK) {
        return status;
    }
    reading->has_messages &= messages >= 0;
    if (reading->talk_count == reading->talk_room) {
        const size_t room =
            reading->talk_room == 0 ? ROOM_FIRST : 2 * reading->talk_room;
        struct talk *talks =
            realloc(reading->talks, room * sizeof(*reading->talks));

        if (talks == NULL) {
            return no_memory(reading);
        }
        reading->talks = talks;
        reading->talk_room = room;
    }
    reading->talks[reading->talk_count++] =
        (struct talk){(uint32_t)a, (uint32_t)b, bytes, messages};
    return CHARE_OK;
}

static chare_status
read_line(struct reading *reading)
{
    const char *word = next_word(reading);

    if (word == NULL) {
        return CHARE_OK;
    }
    if (strcmp(word, "chare-load") == 0) {
        return read_version(reading);
    }
    if (!reading->versioned) {
        return no_dump(reading);
    }
    if (strcmp(word, "pes") == 0) {
        return read_pes(reading);
    }
    if (reading->out->pe_count == 0) {
        return complain(reading, "'pes' should come first");
    }
    if (strcmp(word, "pe") == 0) {
        return read_pe(reading);
    }
    if (strcmp(word, "object") == 0) {
        return read_object(reading);
    }
    if (strcmp(word, "talk") == 0) {
        return read_talk(reading);
    }
    return complain(reading, "'%.40s' is not known", word);
}

/* ---- the whole */

/* Edges by object, in both directions. */
static chare_status
make_edges(struct reading *reading)
{
    const size_t objects = reading->out->object_count;
    size_t *first = calloc(objects + 2, sizeof(*first));
    uint32_t *to = malloc((2 * reading->talk_count + 1) * sizeof(*to));
    float *bytes = malloc((2 * reading->talk_count + 1) * sizeof(*bytes));

    float *messages =
        malloc((2 * reading->talk_count + 1) * sizeof(*messages));

    reading->out->edge_first = first;
    reading->out->edge_to = to;
    reading->out->edge_bytes = bytes;
    reading->out->edge_messages = messages;
    if (first == NULL || to == NULL || bytes == NULL || messages == NULL) {
        return no_memory(reading);
    }
    for (size_t i = 0; i < reading->talk_count; i++) {
        first[reading->talks[i].a + 2]++;
        first[reading->talks[i].b + 2]++;
    }
    for (size_t i = 2; i < objects + 2; i++) {
        first[i] += first[i - 1];
    }
    for (size_t i = 0; i < reading->talk_count; i++) {
        const struct talk *talk = &reading->talks[i];
        const size_t x = first[talk->a + 1]++;
        const size_t y = first[talk->b + 1]++;

        to[x] = talk->b;
        bytes[x] = talk->bytes;
        to[y] = talk->a;
        bytes[y] = talk->bytes;
        messages[x] = talk->messages;
        messages[y] = talk->messages;
    }
    if (!reading->has_messages) {
        free(messages);
        reading->out->edge_messages = NULL;
    }
    return CHARE_OK;
}

/* Rows of CHI_LB_DIMS_MAX to rows of as many as there are. */
static void
pack_places(struct reading *reading)
{
    const uint32_t dims = reading->out->dims;

    for (size_t i = 0; i < reading->out->object_count; i++) {
        memmove(reading->places + i * dims,
                reading->places + i * CHI_LB_DIMS_MAX,
                dims * sizeof(*reading->places));
    }
}

/* What was read is the problem's, also when it is half of one. */
static void
give_out(struct reading *reading)
{
    reading->out->work = reading->work;
    reading->out->from = reading->from;
    reading->out->bytes = reading->bytes;
    reading->out->coordinates = reading->places;
    reading->out->fixed = reading->fixed;
    reading->out->speeds = reading->speeds;
    reading->out->background = reading->background;
    reading->out->nodes = reading->nodes;
    reading->out->spots = reading->spots;
}

/* Whether it was cut off. */
static chare_status
check_end(struct reading *reading)
{
    const struct {
        const char *what;
        uint64_t said;
        size_t there;
    } parts[] = {
        {"objects", reading->objects_said, reading->out->object_count},
        {"talks", reading->talks_said, reading->talk_count},
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].said == NOT_SAID) {
            continue;
        }
        if (parts[i].there != parts[i].said) {
            return complain(reading,
                            "the file has %zu of %" PRIu64
                            " %s: is it not whole?",
                            parts[i].there, parts[i].said, parts[i].what);
        }
        if (!reading->whole) {
            return complain(reading, "the last line has no end");
        }
    }
    return CHARE_OK;
}

static chare_status
finish(struct reading *reading)
{
    char text[CHI_LB_TEXT_BYTES];

    if (reading->out->pe_count == 0) {
        return complain(reading, reading->line == 0
                                     ? "the file is empty"
                                     : "the file ends before 'pes'");
    }
    if (check_end(reading) != CHARE_OK) {
        return CHARE_ERR_FORMAT;
    }
    if (reading->has_places) {
        pack_places(reading);
    } else {
        free(reading->places);
        reading->places = NULL;
    }
    if (!reading->has_spots) {
        free(reading->spots);
        reading->spots = NULL;
    }
    if (reading->object_room == 0 && grow_objects(reading) != CHARE_OK) {
        return CHARE_ERR_NO_MEMORY;
    }
    give_out(reading);
    if (chi_lb_problem_check(reading->out, text) != CHARE_OK) {
        return complain(reading, "%s", text);
    }
    return reading->talk_count > 0 ? make_edges(reading) : CHARE_OK;
}

chare_status
chi_dump_read(FILE *file, const char *name, struct chi_lb_problem *out,
              char *error)
{
    struct reading reading = {
        .name = name,
        .error = error,
        .out = out,
        .has_messages = true,
        .objects_said = NOT_SAID,
        .talks_said = NOT_SAID,
    };
    char line[CHI_DUMP_LINE_BYTES_MAX];
    chare_status status = CHARE_OK;

    *out = (struct chi_lb_problem){.seed = 1};
    while (status == CHARE_OK && fgets(line, sizeof(line), file) != NULL) {
        reading.line++;
        reading.whole = strchr(line, '\n') != NULL;
        if (!reading.whole && !feof(file)) {
            status = reading.versioned
                         ? complain(&reading,
                                    "the line is longer than %d bytes, or has "
                                    "a byte 0",
                                    CHI_DUMP_LINE_BYTES_MAX - 2)
                         : no_dump(&reading);
            break;
        }
        line[strcspn(line, "#")] = '\0';
        reading.at = line;
        status = read_line(&reading);
    }
    if (status == CHARE_OK && ferror(file)) {
        status = complain(&reading, "%s", strerror(errno));
    }
    if (status == CHARE_OK) {
        status = finish(&reading);
    }
    free(reading.talks);
    give_out(&reading);
    if (status != CHARE_OK) {
        chi_lb_problem_free(out);
    }
    return status;
}
