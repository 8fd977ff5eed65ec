// 128-bit integers, which ISO C++ does not have but every compiler that kappa supports does.
#pragma once

namespace kappa {
__extension__ typedef __int128 int128_t;
__extension__ typedef unsigned __int128 uint128_t;
}  // namespace kappa
