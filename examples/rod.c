/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rod.c - pieces of a rod that conducts heat, as chares in C; see rod.py.
 *
 * Each has cells, and tells its neighbours what its outermost ones are in each
 * step. The neighbours at the rod's ends are chares in Python, in the same
 * array: a piece calls them as it calls its own kind.
 */
#include <stdlib.h>
#include <string.h>

#include <chare.h>

enum side {
    LEFT = 0,
    RIGHT = 1,
};

struct piece {
    int64_t length;
    int64_t step;
    int64_t steps; /* 0: it has not begun */
    double *cells; /* length + 2: what the neighbours have is outermost */
    double *next;
    double heard[2][2]; /* by step modulo 2 and side, */
    bool known[2][2];   /* if it has come */
    uint32_t entry_edge;
    chare_callback done;
};

static void
piece_destroy(void *object)
{
    struct piece *piece = object;

    free(piece->cells);
    free(piece->next);
    free(piece);
}

static chare_status
piece_new(chare_args *args, int64_t length, struct piece **piece_out)
{
    const size_t count = (size_t)length + 2;
    struct piece *piece = calloc(1, sizeof(*piece));
    uint32_t type;

    if (piece == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    piece->length = length;
    piece->cells = calloc(count, sizeof(double));
    piece->next = calloc(count, sizeof(double));
    if (piece->cells == NULL || piece->next == NULL ||
        chare_type_find(args->runtime, "rod.Piece", &type) != CHARE_OK ||
        chare_entry_find(args->runtime, type, "edge", &piece->entry_edge) !=
            CHARE_OK) {
        piece_destroy(piece);
        return CHARE_ERR_NO_MEMORY;
    }
    *piece_out = piece;
    return CHARE_OK;
}

/* Piece(cells): its temperatures, an array of float64. */
static chare_status
piece_create(chare_args *args, void **object_out)
{
    struct piece *piece;
    chare_value cells;
    const double *at = chare_arg_array(args, CHARE_DTYPE_F64, &cells);
    chare_status status = chare_args_end(args);

    if (status != CHARE_OK) {
        return status;
    }
    if (cells.as.array.ndims != 1 || cells.as.array.shape[0] < 1) {
        return chare_args_fail(args, "ValueError",
                               "cells have one dimension, and are not none");
    }
    status = piece_new(args, cells.as.array.shape[0], &piece);
    if (status == CHARE_OK) {
        memcpy(piece->cells + 1, at, cells.as.array.len);
        *object_out = piece;
    }
    return status;
}

/* ---- steps */

/* What the neighbour on one side is to know of this step. */
static chare_status
tell(struct piece *piece, chare_args *args, enum side side)
{
    const bool left = side == LEFT;
    chare_element target = *args->call->self;
    chare_encoder encoder;
    chare_proxy proxy = {.kind = CHARE_PROXY_ARRAY};
    chare_status status = chare_call_begin(&encoder, args->runtime, 3);

    if (status != CHARE_OK) {
        return status;
    }
    target.index.at[0] += left ? -1 : 1;
    proxy.element = target;
    chare_put_int(&encoder, piece->step);
    chare_put_int(&encoder, left ? RIGHT : LEFT); /* as it sees it */
    chare_put_float(&encoder, piece->cells[left ? 1 : piece->length]);
    return chare_proxy_call(args->runtime, &proxy, piece->entry_edge, &encoder,
                            NULL);
}

static chare_status
tell_both(struct piece *piece, chare_args *args)
{
    const chare_status status = tell(piece, args, LEFT);

    return status == CHARE_OK ? tell(piece, args, RIGHT) : status;
}

static void
advance(struct piece *piece)
{
    double *cells = piece->cells;

    cells[0] = piece->heard[piece->step % 2][LEFT];
    cells[piece->length + 1] = piece->heard[piece->step % 2][RIGHT];
    for (int64_t i = 1; i <= piece->length; i++) {
        piece->next[i] =
            cells[i] + (cells[i - 1] - 2 * cells[i] + cells[i + 1]) / 4;
    }
    piece->cells = piece->next;
    piece->next = cells;
    memset(piece->known[piece->step % 2], 0, sizeof(piece->known[0]));
    piece->step++;
}

/* Contribute the heat of the cells to the sum over all of the rod. */
static chare_status
finish(struct piece *piece, chare_args *args)
{
    double heat = 0;

    for (int64_t i = 1; i <= piece->length; i++) {
        heat += piece->cells[i];
    }
    piece->steps = 0;
    piece->step = 0;
    return chare_contribute_float(args->runtime, args->call->self,
                                  CHARE_REDUCE_SUM, heat, &piece->done);
}

/* Go as far as what has come allows. */
static chare_status
go_on(struct piece *piece, chare_args *args)
{
    chare_status status = CHARE_OK;

    while (status == CHARE_OK && piece->steps > 0 &&
           piece->known[piece->step % 2][LEFT] &&
           piece->known[piece->step % 2][RIGHT]) {
        advance(piece);
        status = piece->step < piece->steps ? tell_both(piece, args)
                                            : finish(piece, args);
    }
    return status;
}

/* run(steps, done): the sum of all heat goes to 'done'. */
static chare_status
piece_run(void *object, chare_args *args)
{
    struct piece *piece = object;
    chare_callback done;
    chare_status status;
    const int64_t steps = chare_arg_int(args);

    chare_arg_callback(args, &done);
    status = chare_args_end(args);
    if (status != CHARE_OK) {
        return status;
    }
    if (steps < 1) {
        return chare_args_fail(args, "ValueError", "at least one step");
    }
    piece->steps = steps;
    piece->done = done;
    status = tell_both(piece, args);
    return status == CHARE_OK ? go_on(piece, args) : status;
}

/* edge(step, side, value): what a neighbour's outermost cell is. */
static chare_status
piece_edge(void *object, chare_args *args)
{
    struct piece *piece = object;
    const int64_t step = chare_arg_int(args);
    const int64_t side = chare_arg_int(args);
    const double value = chare_arg_float(args);
    const chare_status status = chare_args_end(args);

    if (status != CHARE_OK) {
        return status;
    }
    if ((side != LEFT && side != RIGHT) || step < piece->step ||
        step > piece->step + 1) {
        return chare_args_fail(args, "ValueError", "no step of a neighbour");
    }
    piece->heard[step % 2][side] = value;
    piece->known[step % 2][side] = true;
    return go_on(piece, args);
}

/* cells(): the temperatures. */
static chare_status
piece_cells(void *object, chare_args *args)
{
    const struct piece *piece = object;
    void *room = chare_put_array(chare_args_result(args), CHARE_DTYPE_F64,
                                 CHARE_ARRAY_C_ORDER, 1, &piece->length,
                                 (size_t)piece->length * sizeof(double));

    if (room != NULL) {
        memcpy(room, piece->cells + 1, (size_t)piece->length * sizeof(double));
    }
    return chare_args_end(args);
}

/* ---- moving to another PE, between two runs */

static chare_status
piece_pack(void *object, chare_encoder *encoder)
{
    const struct piece *piece = object;
    void *room;

    if (piece->steps > 0) {
        return CHARE_ERR_AGAIN;
    }
    room = chare_put_array(encoder, CHARE_DTYPE_F64, CHARE_ARRAY_C_ORDER, 1,
                           &piece->length,
                           (size_t)piece->length * sizeof(double));
    if (room != NULL) {
        memcpy(room, piece->cells + 1, (size_t)piece->length * sizeof(double));
    }
    for (int i = 0; i < 2; i++) { /* a neighbour may have begun */
        chare_put_bool(encoder, piece->known[0][i]);
        chare_put_float(encoder, piece->heard[0][i]);
    }
    return encoder->status;
}

static chare_status
piece_unpack(chare_args *state, void **object_out)
{
    struct piece *piece;
    chare_value cells;
    const double *at = chare_arg_array(state, CHARE_DTYPE_F64, &cells);
    chare_status status = state->status;

    if (status == CHARE_OK) {
        status = piece_new(state, cells.as.array.shape[0], &piece);
    }
    if (status != CHARE_OK) {
        return status;
    }
    memcpy(piece->cells + 1, at, cells.as.array.len);
    for (int i = 0; i < 2; i++) {
        piece->known[0][i] = chare_arg_bool(state);
        piece->heard[0][i] = chare_arg_float(state);
    }
    *object_out = piece;
    return CHARE_OK;
}

/* ---- what Python sees of it */

static const chare_method methods[] = {
    {"run", piece_run, "steps, done", "Go so many steps; the heat to done."},
    {"edge", piece_edge, "step, side, value", "A neighbour's cell."},
    {"cells", piece_cells, "", "The temperatures, an array of float64."},
    {NULL, NULL, NULL, NULL},
};

static const chare_class classes[] = {
    {.name = "Piece",
     .doc = "A piece of a rod; cells are its temperatures.",
     .params = "cells",
     .create = piece_create,
     .destroy = piece_destroy,
     .pack = piece_pack,
     .unpack = piece_unpack,
     .methods = methods},
    {.name = NULL},
};

CHARE_PLUGIN = {CHARE_PLUGIN_ABI, "rod", "A rod that conducts heat.", classes};
