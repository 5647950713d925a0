/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_cxx.cc - chare.h from C++.
 *
 * Goal:   a C++ program can register a class, create and call a chare, get an
 *         answer and end.
 */
#include <chare.h>

#include <cstdio>
#include <memory>

namespace
{

/* A chare that adds up. */
class Adder
{
public:
    int64_t sum = 0;

    static chare_status
    create(const chare_call *, void *, void **object_out)
    {
        *object_out = new Adder;
        return CHARE_OK;
    }

    static void
    destroy(void *object, void *)
    {
        delete static_cast<Adder *>(object);
    }

    static void
    add(void *object, const chare_call *call, void *)
    {
        Adder *self = static_cast<Adder *>(object);

        self->sum += *static_cast<const int64_t *>(call->bytes);
        if (call->wants_reply) {
            chare_data data = chare_data_bytes(&self->sum, sizeof(self->sum));
            chare_reply reply;

            chare_call_take_reply(call, &reply);
            if (chare_reply_send(call->runtime, &reply, &data) != CHARE_OK) {
                chare_abort(call->runtime, 1, "no answer");
            }
        }
    }
};

void
answered(const chare_call *call, void *context)
{
    *static_cast<int64_t *>(context) =
        *static_cast<const int64_t *>(call->bytes);
    chare_exit(call->runtime, 0);
}

int64_t
run()
{
    chare_open_options options = {};
    chare_type_ops ops = {};
    chare_send_options send = {};
    chare_runtime *rt = nullptr;
    uint32_t type = 0;
    uint32_t entry = 0;
    chare_element adder;
    chare_future future;
    chare_callback reply;
    int64_t result = -1;

    options.size = sizeof(options);
    options.single = true;
    ops.size = sizeof(ops);
    ops.name = "Adder";
    ops.create = Adder::create;
    ops.destroy = Adder::destroy;
    if (chare_open(&options, &rt) != CHARE_OK ||
        chare_type_register(rt, &ops, nullptr, &type) != CHARE_OK ||
        chare_entry_register(rt, type, "add", Adder::add, nullptr, &entry) !=
            CHARE_OK ||
        chare_start(rt) != CHARE_OK ||
        chare_single_create(rt, type, CHARE_ANY_PE, nullptr, nullptr,
                            &adder) != CHARE_OK ||
        chare_future_create(rt, answered, &result, &future) != CHARE_OK) {
        return -1;
    }
    reply = chare_callback_future(future);
    send.size = sizeof(send);
    for (int64_t i = 1; i <= 10; i++) {
        chare_data data = chare_data_bytes(&i, sizeof(i));

        send.reply = i == 10 ? &reply : nullptr;
        if (chare_send(rt, &adder, entry, &data, &send) != CHARE_OK) {
            return -1;
        }
    }
    if (chare_run(rt) != CHARE_OK) {
        return -1;
    }
    chare_close(rt);
    return result;
}

}

int
main()
{
    const bool ok = run() == 55;

    std::printf("1..1\n%s 1 - a chare in C++\n", ok ? "ok" : "not ok");
    return ok ? 0 : 1;
}
