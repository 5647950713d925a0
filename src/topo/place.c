/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place.c - a place as bytes, for the wire-up.
 *
 * u64 node_id, u16 package, numa, cache, core, u8 levels, u8 name length, a
 * u64 for each level, the name without NUL.
 */
#include "config.h"

#include <string.h>

#include "base/check.h"
#include "topo/layout.h"

static_assert(8 + 4 * 2 + 2 + 8 * CHI_PLACE_SWITCH_LEVELS_MAX +
                      CHI_PLACE_NODE_NAME_MAX - 1 <=
                  CHI_PLACE_BYTES_MAX,
              "the longest place fits");

void
chi_place_encode(const struct chi_place *place, struct chi_writer *writer)
{
    const size_t name_len =
        strnlen(place->node_name, CHI_PLACE_NODE_NAME_MAX - 1);

    chi_assert(place->switch_levels <= CHI_PLACE_SWITCH_LEVELS_MAX);
    chi_write_u64(writer, place->node_id);
    chi_write_u16(writer, place->package);
    chi_write_u16(writer, place->numa);
    chi_write_u16(writer, place->cache);
    chi_write_u16(writer, place->core);
    chi_write_u8(writer, (uint8_t)place->switch_levels);
    chi_write_u8(writer, (uint8_t)name_len);
    chi_write(writer, place->switches,
              place->switch_levels * sizeof(place->switches[0]));
    chi_write(writer, place->node_name, name_len);
}

chare_status
chi_place_decode(struct chi_reader *reader, struct chi_place *place_out)
{
    struct chi_place place = {.node_id = chi_read_u64(reader)};
    uint8_t name_len;

    place.package = chi_read_u16(reader);
    place.numa = chi_read_u16(reader);
    place.cache = chi_read_u16(reader);
    place.core = chi_read_u16(reader);
    place.switch_levels = chi_read_u8(reader);
    name_len = chi_read_u8(reader);
    if (place.switch_levels > CHI_PLACE_SWITCH_LEVELS_MAX ||
        name_len >= CHI_PLACE_NODE_NAME_MAX) {
        reader->bad = true;
        return CHARE_ERR_FORMAT;
    }
    chi_read(reader, place.switches,
             place.switch_levels * sizeof(place.switches[0]));
    chi_read(reader, place.node_name, name_len);
    if (reader->bad) {
        return CHARE_ERR_FORMAT;
    }
    *place_out = place;
    return CHARE_OK;
}
