package main

import "slices"

// median gives the middle of the values, which it leaves in their order; 0 of
// none.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return v[n/2]
	default:
		return (v[n/2-1] + v[n/2]) / 2
	}
}

// ratio compares two targets that were measured in the same rounds: the
// median of the rounds' ratios, which a machine that gets slower meanwhile
// does not disturb as it does the ratio of the medians. 0: cannot be said.
func ratio(over, under []float64) float64 {
	var r []float64
	for i, o := range over {
		if i < len(under) && under[i] > 0 {
			r = append(r, o/under[i])
		}
	}
	return median(r)
}

// spread gives the least and the greatest value; 0 of none.
func spread(values []float64) (least, greatest float64) {
	if len(values) == 0 {
		return 0, 0
	}
	return slices.Min(values), slices.Max(values)
}
