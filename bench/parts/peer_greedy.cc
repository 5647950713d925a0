// SPDX-License-Identifier: BSD-3-Clause
// peer_greedy.cc - greedy with std::sort and a binary heap of PEs.
#include "balance.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

void
peer_greedy(const float *work, size_t objects, uint32_t pes, uint32_t *to)
{
    typedef std::pair<double, uint32_t> pe_time;
    std::vector<std::pair<float, uint32_t> > sorted(objects);
    std::vector<pe_time> times(pes);

    for (size_t i = 0; i < objects; i++) {
        sorted[i] = std::make_pair(work[i], static_cast<uint32_t>(i));
    }
    std::sort(sorted.begin(), sorted.end(),
              std::greater<std::pair<float, uint32_t> >());
    for (uint32_t pe = 0; pe < pes; pe++) {
        times[pe] = pe_time(0.0, pe);
    }
    std::priority_queue<pe_time, std::vector<pe_time>, std::greater<pe_time> >
        heap(std::greater<pe_time>(), std::move(times));
    for (size_t i = 0; i < objects; i++) {
        pe_time least = heap.top();

        heap.pop();
        to[sorted[i].second] = least.second;
        least.first += static_cast<double>(sorted[i].first);
        heap.push(least);
    }
}
