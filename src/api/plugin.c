/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plugin.c - classes of chares from a table.
 *
 * The hooks and entry methods that the runtime knows are those of this file;
 * they open the arguments, call the class's function, and send what it says:
 * its result, or its failure to who waits for it, else to the end of the job.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "api/args.h"

enum {
    NAME_BYTES = CHARE_NAME_BYTES_MAX + 1,
    TEXT_BYTES = 1024,
};

/* ---- failures */

/* "[3, 4]", as Python shows it. */
static void
index_text(const chare_index *index, char *out, size_t room)
{
    size_t len = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < index->ndims && len + 1 < room; i++) {
        len += (size_t)snprintf(out + len, room - len, "%s%lld",
                                i == 0 ? "[" : ", ", (long long)index->at[i]);
    }
    if (len + 1 < room) {
        snprintf(out + len, room - len, "]");
    }
}

/* What is to be said of a failure, after the name of what failed. */
static void
failure_text(const chare_args *args, chare_status status, const char *name,
             char *out, size_t room)
{
    if (args->error[0] != '\0') {
        snprintf(out, room, "%s(): %s", name, args->error);
    } else {
        snprintf(out, room, "%s() failed: %s (%s)", name,
                 chare_status_text(status), chare_status_name(status));
    }
}

static const char *
failure_kind(const chare_args *args)
{
    return args->error_kind[0] != '\0' ? args->error_kind : "Error";
}

/* Nobody waits for it: the job ends, with a report. */
static void
fail_job(const chare_args *args, const char *text)
{
    char index[160];
    char report[TEXT_BYTES + 256];

    index_text(&args->call->self->index, index, sizeof(index));
    snprintf(report, sizeof(report),
             "uncaught error of the chare in C with index %s on PE %u\n  %s: "
             "%s",
             index, (unsigned)chare_my_pe(args->runtime), failure_kind(args),
             text);
    chare_abort(args->runtime, 1, report);
}

/* Send an error to who waits; false: it cannot be sent. */
static bool
fail_caller(const chare_args *args, const char *text)
{
    chare_encoder encoder;
    chare_buffer *buffer;
    chare_reply reply;
    chare_data data;

    if (chare_encoder_init(&encoder, args->runtime, 256) != CHARE_OK) {
        return false;
    }
    chare_put_error(&encoder, failure_kind(args), text, "", false);
    if (chare_encoder_take(&encoder, &buffer) != CHARE_OK) {
        return false;
    }
    data = chare_data_buffer(CHARE_FORMAT_ERROR, buffer);
    chare_call_take_reply(args->call, &reply);
    if (chare_reply_send(args->runtime, &reply, &data) != CHARE_OK) {
        chare_buffer_release(buffer);
        return false;
    }
    return true;
}

static void
fail(const chare_args *args, chare_status status)
{
    const chare_call *call = args->call;
    char text[TEXT_BYTES];

    failure_text(args, status, chare_entry_name(args->runtime, call->entry),
                 text, sizeof(text));
    if (!call->wants_reply || chi_obj_reply_taken(call) ||
        !fail_caller(args, text)) {
        fail_job(args, text);
    }
}

/* ---- methods */

static chare_status
send_result(chare_args *args)
{
    chare_buffer *buffer;
    chare_reply reply;
    chare_data data;
    chare_status status;

    args->has_result = false;
    status = chare_encoder_take(&args->result, &buffer);
    if (status != CHARE_OK) {
        return status;
    }
    if (!args->call->wants_reply || chi_obj_reply_taken(args->call)) {
        chare_buffer_release(buffer);
        return CHARE_OK;
    }
    data = chare_data_buffer(CHARE_FORMAT_VALUE, buffer);
    chare_call_take_reply(args->call, &reply);
    status = chare_reply_send(args->runtime, &reply, &data);
    if (status != CHARE_OK) {
        chare_buffer_release(buffer);
    }
    return status;
}

static void
method_run(void *object, const chare_call *call, void *context)
{
    const chare_method *method = (const chare_method *)context;
    chare_status status;
    chare_args args;

    status = chare_args_open(&args, call);
    args.params = method->params;
    if (status == CHARE_OK) {
        status = method->function(object, &args);
        if (status == CHARE_OK) {
            status = args.status; /* it did not look */
        }
    }
    if (status == CHARE_OK && args.has_result) {
        status = send_result(&args);
    }
    if (status != CHARE_OK) {
        fail(&args, status);
    }
    chare_args_close(&args);
}

/* ---- methods that every class has */

static chare_status
await_creation(void *object, chare_args *args)
{
    (void)object;
    return chare_args_end(args);
}

static chare_status
migrate(void *object, chare_args *args)
{
    const int64_t pe = chare_arg_int(args);
    chare_status status = chare_args_end(args);

    (void)object;
    if (status != CHARE_OK) {
        return status;
    }
    if (pe < 0 || pe >= (int64_t)chare_pe_count(args->runtime)) {
        return chi_args_fail(
            args, "ValueError", "there is no PE %lld: there are %u",
            (long long)pe, (unsigned)chare_pe_count(args->runtime));
    }
    return chare_migrate(args->runtime, args->call->self, (uint32_t)pe);
}

static chare_status
set_migratable(void *object, chare_args *args)
{
    const bool migratable = chare_arg_bool(args);
    chare_status status = chare_args_end(args);

    (void)object;
    return status != CHARE_OK
               ? status
               : chare_set_migratable(args->runtime, args->call->self,
                                      migratable);
}

static const chare_method common_methods[] = {
    {"awaitCreation", await_creation, "", NULL},
    {"migrate", migrate, "toPe", NULL},
    {"setMigratable", set_migratable, "migratable", NULL},
    {NULL, NULL, NULL, NULL},
};

/* ---- hooks */

/* What was made of arguments that could not be read is not to be. */
static void
class_undo(const chare_class *self, void **object_out)
{
    if (self->destroy != NULL && *object_out != NULL) {
        self->destroy(*object_out);
    }
    *object_out = NULL;
}

static chare_status
class_create(const chare_call *call, void *context, void **object_out)
{
    const chare_class *self = (const chare_class *)context;
    char text[TEXT_BYTES];
    chare_status status;
    chare_args args;

    status = chare_args_open(&args, call);
    args.params = self->params;
    if (status == CHARE_OK) {
        status = self->create(&args, object_out);
        if (status == CHARE_OK) {
            status = args.status;
            if (status != CHARE_OK) {
                class_undo(self, object_out);
            }
        }
    }
    if (status != CHARE_OK) {
        failure_text(&args, status, self->name, text, sizeof(text));
        fail_job(&args, text);
    }
    chare_args_close(&args);
    return status;
}

static void
class_destroy(void *object, void *context)
{
    const chare_class *self = (const chare_class *)context;

    if (self->destroy != NULL) {
        self->destroy(object);
    }
}

static chare_status
class_pack(void *object, void *context, chare_encoder *encoder)
{
    return ((const chare_class *)context)->pack(object, encoder);
}

static chare_status
class_unpack(const chare_call *call, void *context, void **object_out)
{
    const chare_class *self = (const chare_class *)context;
    char text[TEXT_BYTES];
    char name[NAME_BYTES];
    chare_decoder ahead;
    chare_status status;
    chare_args args;

    chi_args_init(&args, call, NULL);
    ahead = args.decoder;
    while (ahead.at < ahead.end && chare_skip(&ahead) == CHARE_OK) {
        args.count++;
    }
    status = self->unpack(&args, object_out);
    if (status == CHARE_OK && args.status != CHARE_OK) {
        class_undo(self, object_out);
        status = args.status;
    }
    if (status != CHARE_OK) {
        snprintf(name, sizeof(name), "%s.unpack", self->name);
        failure_text(&args, status, name, text, sizeof(text));
        fail_job(&args, text);
    }
    chare_args_close(&args);
    return status;
}

/* ---- registering */

static bool
class_ok(const chare_class *self)
{
    if (self->create == NULL ||
        (self->pack == NULL) != (self->unpack == NULL)) {
        return false;
    }
    for (const chare_method *method = self->methods;
         method != NULL && method->name != NULL; method++) {
        if (method->function == NULL) {
            return false;
        }
    }
    return true;
}

static chare_status
register_methods(chare_runtime *runtime, uint32_t type,
                 const chare_method *methods)
{
    chare_status status = CHARE_OK;

    for (; status == CHARE_OK && methods != NULL && methods->name != NULL;
         methods++) {
        uint32_t entry;

        status = chare_entry_register(runtime, type, methods->name, method_run,
                                      (void *)(uintptr_t)methods, &entry);
    }
    return status;
}

static chare_status
register_class(chare_runtime *runtime, const char *plugin,
               const chare_class *self)
{
    char name[NAME_BYTES];
    chare_type_ops ops = {
        .size = sizeof(ops),
        .name = name,
        .create = class_create,
        .destroy = class_destroy,
        .pack = self->pack == NULL ? NULL : class_pack,
        .unpack = self->unpack == NULL ? NULL : class_unpack,
    };
    chare_status status;
    uint32_t type;

    if (!class_ok(self) || snprintf(name, sizeof(name), "%s.%s", plugin,
                                    self->name) >= (int)sizeof(name)) {
        return CHARE_ERR_INVALID;
    }
    if (chare_type_find(runtime, name, &type) == CHARE_OK) {
        return CHARE_ERR_EXISTS;
    }
    status =
        chare_type_register(runtime, &ops, (void *)(uintptr_t)self, &type);
    if (status == CHARE_OK) {
        status = register_methods(runtime, type, self->methods);
    }
    return status == CHARE_OK ? register_methods(runtime, type, common_methods)
                              : status;
}

chare_status
chare_plugin_register(chare_runtime *runtime, const chare_plugin *plugin)
{
    chare_status status = CHARE_OK;

    if (plugin == NULL || plugin->abi != CHARE_PLUGIN_ABI ||
        plugin->name == NULL || plugin->classes == NULL) {
        return CHARE_ERR_INVALID;
    }
    for (const chare_class *self = plugin->classes;
         status == CHARE_OK && self->name != NULL; self++) {
        status = register_class(runtime, plugin->name, self);
    }
    return status;
}
