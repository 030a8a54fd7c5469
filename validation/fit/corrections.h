// Where the formula of dense GEMMs fits badly, a table of corrections by work: the medians of measured over predicted.
#pragma once

#include "validation/fit/profile_fit.h"

namespace moesim {

// The formula stays alone while its median error in the fit is below this.
inline constexpr double kFormulaErrorMax = 0.10;

// Adds the table to the profile, if the judged times of the GEMMs are off by more than kFormulaErrorMax in the median
// and there are enough of them for at least two entries.
void add_corrections(DeviceProfile& profile, const Observations& observations, const FitContext& context);

}  // namespace moesim
