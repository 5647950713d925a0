/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine.c - this node's hardware, through hwloc; the only user of hwloc.
 *
 * Three sets of processors: 'all' is what the machine, or the control group
 * of this process, has; 'usable' is the affinity mask that the process came
 * with, inside 'all'; 'bound' is its mask now, inside 'usable'.
 */
#include "config.h"

#include "topo/machine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hwloc.h>

#include "base/check.h"
#include "topo/identity.h"

struct chi_machine {
    const struct chi_log *log;
    hwloc_topology_t topology;
    hwloc_const_bitmap_t all; /* the topology's */
    hwloc_bitmap_t usable;
    hwloc_bitmap_t bound;
    hwloc_obj_type_t core_type; /* processors, where no cores are known */
    bool synthetic;
};

/* ------------------------------------------------------------------------
 * Looking
 */

/* Only processors, caches, memory: less to read means a faster start. */
static int
topology_configure(hwloc_topology_t topology, const char *synthetic)
{
    unsigned long flags = 0;

#if HWLOC_API_VERSION >= 0x00020800
    flags = HWLOC_TOPOLOGY_FLAG_NO_DISTANCES |
            HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS | HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS;
#endif
    if (hwloc_topology_set_io_types_filter(topology,
                                           HWLOC_TYPE_FILTER_KEEP_NONE) != 0 ||
        hwloc_topology_set_icache_types_filter(
            topology, HWLOC_TYPE_FILTER_KEEP_NONE) != 0 ||
        hwloc_topology_set_type_filter(topology, HWLOC_OBJ_MISC,
                                       HWLOC_TYPE_FILTER_KEEP_NONE) != 0 ||
        hwloc_topology_set_flags(topology, flags) != 0) {
        return -1;
    }
    /* It would move this thread to every processor in turn, to learn what
     * the kernel tells as well. Where hwloc has no such part, all is well. */
    (void)hwloc_topology_set_components(
        topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
    return synthetic == NULL
               ? 0
               : hwloc_topology_set_synthetic(topology, synthetic);
}

static chare_status
topology_load(struct chi_machine *machine, const char *synthetic)
{
    if (hwloc_topology_init(&machine->topology) != 0) {
        machine->topology = NULL;
        return CHARE_ERR_NO_MEMORY;
    }
    if (topology_configure(machine->topology, synthetic) != 0 ||
        hwloc_topology_load(machine->topology) != 0) {
        chi_log_error(
            machine->log, "hwloc cannot describe %s%s: %s (lstopo shows more)",
            synthetic != NULL ? "the synthetic machine " : "this ",
            synthetic != NULL ? synthetic : "machine", strerror(errno));
        return CHARE_ERR_SYSTEM;
    }
    return CHARE_OK;
}

/* Read the affinity mask; without one, all processors are usable. */
static void
usable_fill(struct chi_machine *machine)
{
    const int known =
        machine->synthetic || !hwloc_topology_is_thissystem(machine->topology)
            ? -1
            : hwloc_get_cpubind(machine->topology, machine->usable,
                                HWLOC_CPUBIND_THREAD);

    hwloc_bitmap_and(machine->usable, machine->usable, machine->all);
    if (known != 0 || hwloc_bitmap_iszero(machine->usable)) {
        hwloc_bitmap_copy(machine->usable, machine->all);
    }
    hwloc_bitmap_copy(machine->bound, machine->usable);
}

chare_status
chi_machine_open(const struct chi_log *log, const char *synthetic,
                 struct chi_machine **out)
{
    struct chi_machine *machine = calloc(1, sizeof(*machine));
    chare_status status;

    if (machine == NULL) {
        return CHARE_ERR_NO_MEMORY;
    }
    machine->log = log;
    machine->synthetic = synthetic != NULL;
    status = topology_load(machine, synthetic);
    if (status != CHARE_OK) {
        goto close_machine;
    }
    machine->all = hwloc_topology_get_allowed_cpuset(machine->topology);
    machine->usable = hwloc_bitmap_alloc();
    machine->bound = hwloc_bitmap_alloc();
    if (machine->usable == NULL || machine->bound == NULL) {
        status = CHARE_ERR_NO_MEMORY;
        goto close_machine;
    }
    machine->core_type =
        hwloc_get_nbobjs_by_type(machine->topology, HWLOC_OBJ_CORE) > 0
            ? HWLOC_OBJ_CORE
            : HWLOC_OBJ_PU;
    usable_fill(machine);
    *out = machine;
    return CHARE_OK;

close_machine:
    chi_machine_close(machine);
    return status;
}

void
chi_machine_close(struct chi_machine *machine)
{
    if (machine == NULL) {
        return;
    }
    hwloc_bitmap_free(machine->usable);
    hwloc_bitmap_free(machine->bound);
    if (machine->topology != NULL) {
        hwloc_topology_destroy(machine->topology);
    }
    free(machine);
}

bool
chi_machine_restrict(struct chi_machine *machine, const char *cpus)
{
    hwloc_bitmap_t wanted = hwloc_bitmap_alloc();
    bool good;

    chi_assert(machine->synthetic);
    good = wanted != NULL && hwloc_bitmap_list_sscanf(wanted, cpus) == 0 &&
           hwloc_bitmap_intersects(wanted, machine->all);
    if (good) {
        hwloc_bitmap_and(machine->usable, wanted, machine->all);
        hwloc_bitmap_copy(machine->bound, machine->usable);
    }
    hwloc_bitmap_free(wanted);
    return good;
}

static uint32_t
type_count(const struct chi_machine *machine, hwloc_obj_type_t type)
{
    const int count = hwloc_get_nbobjs_by_type(machine->topology, type);

    return count > 0 ? (uint32_t)count : 0;
}

uint32_t
chi_machine_core_count(const struct chi_machine *machine)
{
    return type_count(machine, machine->core_type);
}

uint32_t
chi_machine_usable_cpu_count(const struct chi_machine *machine)
{
    return (uint32_t)hwloc_bitmap_weight(machine->usable);
}

void
chi_machine_bound_cpus(const struct chi_machine *machine,
                       struct chi_cpus *cpus_out)
{
    unsigned cpu;

    *cpus_out = (struct chi_cpus){{0}};
    if (hwloc_bitmap_last(machine->bound) >= CHI_CPUS_MAX) {
        return;
    }
    hwloc_bitmap_foreach_begin(cpu, machine->bound)
    {
        chi_cpus_add(cpus_out, cpu);
    }
    hwloc_bitmap_foreach_end();
}

/* The caches nearest to the memory; false when none are known. */
static bool
last_cache(const struct chi_machine *machine, hwloc_obj_type_t *type_out,
           int *level_out)
{
    static const hwloc_obj_type_t types[] = {
        HWLOC_OBJ_L5CACHE, HWLOC_OBJ_L4CACHE, HWLOC_OBJ_L3CACHE,
        HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L1CACHE,
    };

    for (int i = 0; i < 5; i++) {
        if (type_count(machine, types[i]) > 0) {
            *type_out = types[i];
            *level_out = 5 - i;
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------
 * Telling
 */

/* Text of limited room, always ended by NUL. */
struct text {
    char *at;
    size_t room;
};

__attribute__((format(printf, 2, 3))) static void
text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(text->at, text->room, format, arguments);
    va_end(arguments);
    if (len > 0 && text->room > 0) {
        const size_t used =
            (size_t)len < text->room ? (size_t)len : text->room - 1;

        text->at += used;
        text->room -= used;
    }
}

static void
count_add(struct text *text, uint32_t count, const char *noun)
{
    text_add(text, "%u %s%s", (unsigned)count, noun, count == 1 ? "" : "s");
}

void
chi_machine_describe(const struct chi_machine *machine, char *out, size_t room)
{
    struct text text = {out, room};
    const hwloc_obj_t top = hwloc_get_root_obj(machine->topology);
    hwloc_obj_type_t cache_type;
    int cache_level;
    char cpus[128];

    count_add(&text, type_count(machine, HWLOC_OBJ_PACKAGE), "package");
    text_add(&text, ", ");
    count_add(&text, type_count(machine, HWLOC_OBJ_NUMANODE), "NUMA node");
    if (last_cache(machine, &cache_type, &cache_level)) {
        const hwloc_obj_t cache =
            hwloc_get_obj_by_type(machine->topology, cache_type, 0);

        text_add(&text, ", %u x %llu KiB L%d cache",
                 (unsigned)type_count(machine, cache_type),
                 (unsigned long long)cache->attr->cache.size / 1024,
                 cache_level);
    }
    text_add(&text, ", ");
    count_add(&text, type_count(machine, HWLOC_OBJ_CORE), "core");
    text_add(&text, ", ");
    count_add(&text, (uint32_t)hwloc_bitmap_weight(machine->all), "processor");
    text_add(&text, ", %llu MiB of memory\n",
             (unsigned long long)top->total_memory >> 20);
    hwloc_bitmap_list_snprintf(cpus, sizeof(cpus), machine->usable);
    text_add(&text, "usable processors: %u (%s)\n",
             (unsigned)chi_machine_usable_cpu_count(machine), cpus);
}

/* ------------------------------------------------------------------------
 * Binding
 */

/* The next core with a usable processor after 'core'; NULL past the last. */
static hwloc_obj_t
usable_core_next(const struct chi_machine *machine, hwloc_obj_t core)
{
    do {
        core = hwloc_get_next_obj_by_type(machine->topology,
                                          machine->core_type, core);
    } while (core != NULL &&
             !hwloc_bitmap_intersects(core->cpuset, machine->usable));
    return core;
}

static hwloc_obj_t
core_for(const struct chi_machine *machine, uint32_t local_index,
         uint32_t local_count)
{
    uint32_t cores = 0;
    hwloc_obj_t core = NULL;

    chi_assert(local_index < local_count);
    while ((core = usable_core_next(machine, core)) != NULL) {
        cores++;
    }
    if (local_count > cores) {
        local_index = (uint32_t)((uint64_t)local_index * cores / local_count);
    }
    core = usable_core_next(machine, NULL);
    while (core != NULL && local_index-- > 0) {
        core = usable_core_next(machine, core);
    }
    chi_assert(core != NULL);
    return core;
}

uint32_t
chi_machine_core_for(const struct chi_machine *machine, uint32_t local_index,
                     uint32_t local_count)
{
    return core_for(machine, local_index, local_count)->logical_index;
}

/* Pin the calling thread; 0, or -1 with the reason in errno. */
static int
pin(struct chi_machine *machine, hwloc_obj_t core)
{
    hwloc_bitmap_and(machine->bound, core->cpuset, machine->usable);
    if (machine->synthetic) {
        return 0;
    }
    if (!hwloc_topology_is_thissystem(machine->topology)) {
        errno = ENOSYS; /* HWLOC_XMLFILE and the like: not these processors */
    } else if (hwloc_set_cpubind(machine->topology, machine->bound,
                                 HWLOC_CPUBIND_THREAD) == 0) {
        return 0;
    }
    hwloc_bitmap_copy(machine->bound, machine->usable);
    return -1;
}

static bool
came_bound(const struct chi_machine *machine)
{
    return !hwloc_bitmap_isequal(machine->usable, machine->all);
}

/* Fill in why 'auto' does not pin; false: it does. */
static bool
auto_declines(const struct chi_machine *machine, uint32_t local_count,
              struct chi_binding *binding)
{
    const uint32_t usable = chi_machine_usable_cpu_count(machine);

    if (came_bound(machine)) {
        binding->by = CHI_BOUND_BY_LAUNCHER;
        snprintf(binding->text, sizeof(binding->text),
                 "bound by the launcher to %u of %d processors",
                 (unsigned)usable, hwloc_bitmap_weight(machine->all));
    } else if (local_count <= 1) {
        snprintf(binding->text, sizeof(binding->text),
                 "not bound: the only PE on this node");
    } else if (local_count > usable) {
        snprintf(binding->text, sizeof(binding->text),
                 "not bound: %u PEs share %u processor%s",
                 (unsigned)local_count, (unsigned)usable,
                 usable == 1 ? "" : "s");
    } else {
        return false;
    }
    return true;
}

static chare_status
bind_core(struct chi_machine *machine, bool forced, hwloc_obj_t core,
          struct chi_binding *binding)
{
    if (pin(machine, core) == 0) {
        binding->by = CHI_BOUND_BY_US;
        snprintf(binding->text, sizeof(binding->text), "bound to core %u",
                 core->logical_index);
        return CHARE_OK;
    }
    snprintf(binding->text, sizeof(binding->text),
             "not bound: the system refuses (%s)", strerror(errno));
    if (forced) {
        chi_log_error(machine->log,
                      "cannot bind to core %u: %s; set CHARE_BIND=none",
                      core->logical_index, strerror(errno));
        return CHARE_ERR_SYSTEM;
    }
    return CHARE_OK;
}

chare_status
chi_machine_bind(struct chi_machine *machine,
                 const struct chi_settings *settings, uint32_t local_index,
                 uint32_t local_count, struct chi_binding *binding_out)
{
    const bool forced = strcmp(settings->bind, "core") == 0;
    struct chi_binding binding = {.by = CHI_BOUND_NOT};
    chare_status status = CHARE_OK;

    if (strcmp(settings->bind, "none") == 0) {
        binding.by =
            came_bound(machine) ? CHI_BOUND_BY_LAUNCHER : CHI_BOUND_NOT;
        snprintf(binding.text, sizeof(binding.text), "%s: CHARE_BIND=none",
                 came_bound(machine) ? "left as the launcher bound it"
                                     : "not bound");
    } else if (!forced && strcmp(settings->bind, "auto") != 0) {
        chi_log_error(machine->log,
                      "CHARE_BIND=%s: should be auto, core or none",
                      settings->bind);
        return CHARE_ERR_INVALID;
    } else if (forced || !auto_declines(machine, local_count, &binding)) {
        status =
            bind_core(machine, forced,
                      core_for(machine, local_index, local_count), &binding);
    }
    if (status != CHARE_OK) {
        return status;
    }
    hwloc_bitmap_list_snprintf(binding.cpus, sizeof(binding.cpus),
                               machine->bound);
    chi_log_debug(machine->log, "%s (processors %s)", binding.text,
                  binding.cpus);
    *binding_out = binding;
    return CHARE_OK;
}

/* ------------------------------------------------------------------------
 * Place
 */

/* The logical index of the object that holds all of the binding. */
static uint16_t
index_of(const struct chi_machine *machine, hwloc_obj_type_t type)
{
    hwloc_obj_t object = NULL;

    while ((object = hwloc_get_next_obj_by_type(machine->topology, type,
                                                object)) != NULL) {
        if (hwloc_bitmap_isincluded(machine->bound, object->cpuset)) {
            return object->logical_index < CHI_PLACE_UNKNOWN
                       ? (uint16_t)object->logical_index
                       : CHI_PLACE_UNKNOWN;
        }
    }
    return CHI_PLACE_UNKNOWN;
}

void
chi_machine_place(const struct chi_machine *machine,
                  const struct chi_settings *settings, const char *host,
                  struct chi_place *place_out)
{
    struct chi_place place = {.cache = CHI_PLACE_UNKNOWN};
    hwloc_obj_type_t cache_type;
    int cache_level;

    place.node_id = chi_identity_node(host);
    snprintf(place.node_name, sizeof(place.node_name), "%s", host);
    place.package = index_of(machine, HWLOC_OBJ_PACKAGE);
    place.numa = index_of(machine, HWLOC_OBJ_NUMANODE);
    if (last_cache(machine, &cache_type, &cache_level)) {
        place.cache = index_of(machine, cache_type);
    }
    place.core = index_of(machine, machine->core_type);
    if (settings->switches[0] != '\0') {
        chi_identity_switches(settings->switches, &place);
    } else {
        chi_identity_slurm(getenv("SLURM_TOPOLOGY_ADDR"),
                           getenv("SLURM_TOPOLOGY_ADDR_PATTERN"), &place);
    }
    *place_out = place;
}
