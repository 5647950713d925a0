/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHI_BASE_BYTES_H
#define CHI_BASE_BYTES_H

/*
 * bytes.h - bounds-checked reading and writing of plain fields.
 *
 * For the runtime's own small records (headers, blobs). A reader or writer
 * that ran out of room is 'bad' from then on: check once, at the end. Fields
 * are in the machine's byte order: a job runs on one architecture, and the
 * wire-up refuses peers that differ. The value codec is src/msg/codec.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct chi_reader {
    const unsigned char *at;
    const unsigned char *end;
    bool bad;
};

struct chi_writer {
    unsigned char *at;
    unsigned char *end;
    bool bad;
};

static inline struct chi_reader
chi_reader_of(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    return (struct chi_reader){.at = at, .end = at + len};
}

static inline struct chi_writer
chi_writer_of(void *bytes, size_t room)
{
    unsigned char *at = bytes;

    return (struct chi_writer){.at = at, .end = at + room};
}

static inline size_t
chi_reader_left(const struct chi_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

/* The next 'len' bytes in place, or NULL and bad. */
static inline const void *
chi_read_bytes(struct chi_reader *reader, size_t len)
{
    const void *at = reader->at;

    if (reader->bad || len > chi_reader_left(reader)) {
        reader->bad = true;
        return NULL;
    }
    reader->at += len;
    return at;
}

/* Copy the next 'len' bytes out; zeros when there are not that many. */
static inline void
chi_read(struct chi_reader *reader, void *out, size_t len)
{
    const void *at = chi_read_bytes(reader, len);

    if (at == NULL) {
        memset(out, 0, len);
    } else if (len > 0) {
        memcpy(out, at, len);
    }
}

static inline void
chi_write(struct chi_writer *writer, const void *bytes, size_t len)
{
    if (writer->bad || len > (size_t)(writer->end - writer->at)) {
        writer->bad = true;
        return;
    }
    if (len > 0) {
        memcpy(writer->at, bytes, len);
    }
    writer->at += len;
}

#define CHI_BYTES_FIELD(name, type)                                \
    static inline type chi_read_##name(struct chi_reader *reader)  \
    {                                                              \
        type value;                                                \
        chi_read(reader, &value, sizeof(value));                   \
        return value;                                              \
    }                                                              \
    static inline void chi_write_##name(struct chi_writer *writer, \
                                        type value)                \
    {                                                              \
        chi_write(writer, &value, sizeof(value));                  \
    }

CHI_BYTES_FIELD(u8, uint8_t)
CHI_BYTES_FIELD(u16, uint16_t)
CHI_BYTES_FIELD(u32, uint32_t)
CHI_BYTES_FIELD(u64, uint64_t)
CHI_BYTES_FIELD(i64, int64_t)

#undef CHI_BYTES_FIELD

#endif /* CHI_BASE_BYTES_H */
