/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_machine.c - cores, binding and place of this process.
 *
 * Goal:   PEs get neighbouring cores inside what the process may use, binding
 *         does what the setting says, and the place tells where a PE sits.
 * Method: synthetic hwloc machines, where nothing is really pinned; then the
 *         real one, with the affinity mask of this test changed and restored.
 */
#include "config.h"

#include "topo/machine.h"

#include <sched.h>

#include "tap/tap.h"

#define TWO_PACKAGES "pack:2 numa:2 l3:2 core:4 pu:2" /* 32 cores, 64 PUs */

static const struct chi_log errors_only = {.level = CHI_LOG_ERROR,
                                           .pe = CHI_LOG_NO_PE};

static struct chi_machine *
machine_of(const char *synthetic)
{
    struct chi_machine *machine;

    return chi_machine_open(&errors_only, synthetic, &machine) == CHARE_OK
               ? machine
               : NULL;
}

static struct chi_settings
settings_bind(const char *bind)
{
    struct chi_settings settings = {.log_level = "error"};

    snprintf(settings.bind, sizeof(settings.bind), "%s", bind);
    return settings;
}

static void
synthetic_machine_is_counted(void)
{
    struct chi_machine *machine = machine_of(TWO_PACKAGES);
    char text[512];
    char tiny[8];

    CHECK(machine != NULL);
    CHECK_EQ(chi_machine_core_count(machine), 32);
    CHECK_EQ(chi_machine_usable_cpu_count(machine), 64);
    chi_machine_describe(machine, text, sizeof(text));
    CHECK(strstr(text, "2 packages, 4 NUMA nodes, 8 x ") == text);
    CHECK(strstr(text, "L3 cache, 32 cores, 64 processors") != NULL);
    CHECK(strstr(text, "usable processors: 64 (0-63)\n") != NULL);
    chi_machine_describe(machine, tiny, sizeof(tiny));
    CHECK(strcmp(tiny, "2 packa") == 0);
    chi_machine_close(machine);
    chi_machine_close(NULL);
}

static void
nonsense_is_refused(void)
{
    struct chi_machine *machine = NULL;

    CHECK_EQ(chi_machine_open(&errors_only, "elephants:4", &machine),
             CHARE_ERR_SYSTEM);
    CHECK(machine == NULL);
}

static void
pes_get_neighbouring_cores(void)
{
    struct chi_machine *machine = machine_of(TWO_PACKAGES);

    CHECK(machine != NULL);
    for (uint32_t i = 0; i < 32; i++) {
        CHECK_EQ(chi_machine_core_for(machine, i, 32), i);
        CHECK_EQ(chi_machine_core_for(machine, i, 40), i * 32 / 40);
    }
    CHECK_EQ(chi_machine_core_for(machine, 3, 5), 3);
    CHECK_EQ(chi_machine_core_for(machine, 63, 64), 31);
    CHECK(chi_machine_restrict(machine, "8-11,20-27"));
    CHECK_EQ(chi_machine_usable_cpu_count(machine), 12);
    CHECK_EQ(chi_machine_core_for(machine, 0, 4), 4);
    CHECK_EQ(chi_machine_core_for(machine, 1, 4), 5);
    CHECK_EQ(chi_machine_core_for(machine, 2, 4), 10);
    CHECK_EQ(chi_machine_core_for(machine, 11, 12), 13);
    CHECK(!chi_machine_restrict(machine, "1000"));
    CHECK_EQ(chi_machine_usable_cpu_count(machine), 12);
    chi_machine_close(machine);
}

/* The place of PE 'index' of 'count' after binding. */
static struct chi_place
place_bound(const char *synthetic, const char *bind, uint32_t index,
            uint32_t count, struct chi_binding *binding_out)
{
    struct chi_machine *machine = machine_of(synthetic);
    const struct chi_settings settings = settings_bind(bind);
    struct chi_place place = {.node_id = 0};

    memset(binding_out, 0, sizeof(*binding_out));
    if (machine != NULL && chi_machine_bind(machine, &settings, index, count,
                                            binding_out) == CHARE_OK) {
        chi_machine_place(machine, &settings, "n0", &place);
    }
    chi_machine_close(machine);
    return place;
}

static void
auto_binds_each_pe_to_its_core(void)
{
    struct chi_binding binding;
    struct chi_place place =
        place_bound(TWO_PACKAGES, "auto", 21, 32, &binding);

    CHECK_EQ(binding.by, CHI_BOUND_BY_US);
    CHECK(strcmp(binding.cpus, "42-43") == 0);
    CHECK(strcmp(binding.text, "bound to core 21") == 0);
    CHECK_EQ(place.core, 21);
    CHECK_EQ(place.cache, 5);
    CHECK_EQ(place.numa, 2);
    CHECK_EQ(place.package, 1);
    CHECK(strcmp(place.node_name, "n0") == 0);
}

static void
auto_leaves_one_pe_and_crowds_alone(void)
{
    struct chi_binding binding;
    struct chi_place place = place_bound(TWO_PACKAGES, "auto", 0, 1, &binding);

    CHECK_EQ(binding.by, CHI_BOUND_NOT);
    CHECK_EQ(place.core, CHI_PLACE_UNKNOWN);
    CHECK_EQ(place.package, CHI_PLACE_UNKNOWN);
    place_bound(TWO_PACKAGES, "auto", 3, 65, &binding);
    CHECK_EQ(binding.by, CHI_BOUND_NOT);
    CHECK(strcmp(binding.text, "not bound: 65 PEs share 64 processors") == 0);
    place_bound(TWO_PACKAGES, "auto", 3, 64, &binding);
    CHECK_EQ(binding.by, CHI_BOUND_BY_US);
}

static void
core_binds_and_none_does_not(void)
{
    struct chi_binding binding;
    struct chi_place place;

    place = place_bound(TWO_PACKAGES, "core", 0, 1, &binding);
    CHECK_EQ(binding.by, CHI_BOUND_BY_US);
    CHECK_EQ(place.core, 0);
    place = place_bound(TWO_PACKAGES, "core", 99, 100, &binding);
    CHECK_EQ(binding.by, CHI_BOUND_BY_US);
    CHECK_EQ(place.core, 31);
    place = place_bound(TWO_PACKAGES, "none", 1, 4, &binding);
    CHECK_EQ(binding.by, CHI_BOUND_NOT);
    CHECK_EQ(place.core, CHI_PLACE_UNKNOWN);
}

static void
launchers_binding_is_left_alone(void)
{
    struct chi_machine *machine = machine_of(TWO_PACKAGES);
    const struct chi_settings settings = settings_bind("auto");
    struct chi_binding binding;
    struct chi_cpus cpus;
    struct chi_place place;

    CHECK(machine != NULL);
    CHECK(chi_machine_restrict(machine, "16-23"));
    CHECK_EQ(chi_machine_bind(machine, &settings, 0, 4, &binding), CHARE_OK);
    CHECK_EQ(binding.by, CHI_BOUND_BY_LAUNCHER);
    CHECK(strcmp(binding.cpus, "16-23") == 0);
    chi_machine_bound_cpus(machine, &cpus);
    CHECK_EQ(chi_cpus_count(&cpus), 8);
    chi_machine_place(machine, &settings, "n0", &place);
    CHECK_EQ(place.package, 0);
    CHECK_EQ(place.numa, 1);
    CHECK_EQ(place.cache, 2);
    CHECK_EQ(place.core, CHI_PLACE_UNKNOWN);
    chi_machine_close(machine);
}

static bool
cpus_are(const struct chi_machine *machine, uint32_t first, uint32_t second)
{
    struct chi_cpus wanted = {{0}};
    struct chi_cpus got;

    chi_cpus_add(&wanted, first);
    chi_cpus_add(&wanted, second);
    chi_machine_bound_cpus(machine, &got);
    return memcmp(&got, &wanted, sizeof(got)) == 0;
}

static void
processors_are_told_by_number(void)
{
    const struct chi_settings settings = settings_bind("core");
    struct chi_machine *machine = machine_of(TWO_PACKAGES);
    struct chi_binding binding;
    struct chi_cpus cpus;

    CHECK(machine != NULL);
    chi_machine_bound_cpus(machine, &cpus);
    CHECK_EQ(chi_cpus_count(&cpus), 64);
    CHECK(chi_machine_restrict(machine, "12,63"));
    CHECK(cpus_are(machine, 12, 63));
    CHECK(chi_machine_restrict(machine, "0-63"));
    CHECK_EQ(chi_machine_bind(machine, &settings, 3, 32, &binding), CHARE_OK);
    CHECK(cpus_are(machine, 6, 7));
    chi_machine_close(machine);
    machine = machine_of("pu:4097");
    CHECK(machine != NULL);
    chi_machine_bound_cpus(machine, &cpus);
    CHECK_EQ(chi_cpus_count(&cpus), 0); /* too many to tell */
    chi_machine_close(machine);
}

static void
unknown_setting_is_refused(void)
{
    const struct chi_settings settings = settings_bind("sideways");
    struct chi_machine *machine;
    struct chi_binding binding;

    CHECK_EQ(chi_machine_open(&errors_only, TWO_PACKAGES, &machine), CHARE_OK);
    CHECK_EQ(chi_machine_bind(machine, &settings, 0, 4, &binding),
             CHARE_ERR_INVALID);
    chi_machine_close(machine);
}

static void
machine_without_cores_or_caches_works(void)
{
    struct chi_binding binding;
    struct chi_place place =
        place_bound("numa:1 pu:4", "auto", 2, 4, &binding);

    CHECK_EQ(binding.by, CHI_BOUND_BY_US);
    CHECK(strcmp(binding.cpus, "2") == 0);
    CHECK_EQ(place.core, 2);
    CHECK_EQ(place.cache, CHI_PLACE_UNKNOWN);
    CHECK_EQ(place.package, CHI_PLACE_UNKNOWN);
}

static void
switches_come_from_the_setting_or_slurm(void)
{
    struct chi_machine *machine = machine_of("numa:1 pu:1");
    struct chi_settings settings = settings_bind("none");
    struct chi_place slurm;
    struct chi_place set;

    CHECK(machine != NULL);
    setenv("SLURM_TOPOLOGY_ADDR", "top.leaf2.n5", 1);
    setenv("SLURM_TOPOLOGY_ADDR_PATTERN", "switch.switch.node", 1);
    chi_machine_place(machine, &settings, "n5", &slurm);
    strcpy(settings.switches, "top.leaf1");
    chi_machine_place(machine, &settings, "n5", &set);
    unsetenv("SLURM_TOPOLOGY_ADDR");
    unsetenv("SLURM_TOPOLOGY_ADDR_PATTERN");
    CHECK_EQ(slurm.switch_levels, 2);
    CHECK_EQ(set.switch_levels, 2);
    CHECK_EQ(slurm.switches[0], set.switches[0]);
    CHECK(slurm.switches[1] != set.switches[1]);
    CHECK_EQ(slurm.node_id, set.node_id);
    chi_machine_close(machine);
}

static void
long_host_name_is_cut(void)
{
    struct chi_machine *machine = machine_of("numa:1 pu:1");
    const struct chi_settings settings = settings_bind("none");
    struct chi_place place;
    char host[200];

    CHECK(machine != NULL);
    memset(host, 'h', sizeof(host));
    host[sizeof(host) - 1] = '\0';
    chi_machine_place(machine, &settings, host, &place);
    CHECK_EQ(strlen(place.node_name), CHI_PLACE_NODE_NAME_MAX - 1);
    chi_machine_close(machine);
}

/* Bind this thread for real; returns how many processors it has then. */
static int
bind_really(const char *bind, uint32_t count, struct chi_binding *binding_out)
{
    struct chi_machine *machine = machine_of(NULL);
    const struct chi_settings settings = settings_bind(bind);
    cpu_set_t now;

    if (machine == NULL ||
        chi_machine_bind(machine, &settings, 0, count, binding_out) !=
            CHARE_OK ||
        sched_getaffinity(0, sizeof(now), &now) != 0) {
        chi_machine_close(machine);
        return -1;
    }
    chi_machine_close(machine);
    return CPU_COUNT(&now);
}

static void
the_real_machine_is_bound_and_seen_bound(void)
{
    struct chi_binding binding;
    cpu_set_t before;
    int first;
    int second;
    int by;

    CHECK_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
    if (CPU_COUNT(&before) < 2) {
        SKIP("one processor");
    }
    CHECK_EQ(bind_really("none", 2, &binding), CPU_COUNT(&before));
    first = bind_really("core", 2, &binding);
    by = (int)binding.by;
    second = bind_really("auto", 2, &binding);
    sched_setaffinity(0, sizeof(before), &before);
    if (by == CHI_BOUND_BY_US && first < CPU_COUNT(&before)) {
        CHECK_EQ(second, first);
        CHECK_EQ(binding.by, CHI_BOUND_BY_LAUNCHER);
    }
    CHECK(first >= 1);
}

static void
the_real_machine_has_processors(void)
{
    struct chi_machine *machine = machine_of(NULL);
    char text[512];

    CHECK(machine != NULL);
    CHECK(chi_machine_core_count(machine) >= 1);
    CHECK(chi_machine_usable_cpu_count(machine) >= 1);
    chi_machine_describe(machine, text, sizeof(text));
    CHECK(strstr(text, "usable processors: ") != NULL);
    chi_machine_close(machine);
}

TAP_MAIN(TAP_CASE(synthetic_machine_is_counted), TAP_CASE(nonsense_is_refused),
         TAP_CASE(pes_get_neighbouring_cores),
         TAP_CASE(auto_binds_each_pe_to_its_core),
         TAP_CASE(auto_leaves_one_pe_and_crowds_alone),
         TAP_CASE(core_binds_and_none_does_not),
         TAP_CASE(launchers_binding_is_left_alone),
         TAP_CASE(processors_are_told_by_number),
         TAP_CASE(unknown_setting_is_refused),
         TAP_CASE(machine_without_cores_or_caches_works),
         TAP_CASE(switches_come_from_the_setting_or_slurm),
         TAP_CASE(long_host_name_is_cut),
         TAP_CASE(the_real_machine_is_bound_and_seen_bound),
         TAP_CASE(the_real_machine_has_processors))
