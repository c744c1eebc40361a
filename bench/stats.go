package main

import "slices"

// median returns the median of the values, which stay in their order; 0 for none.
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

// ratio compares two targets that were measured in the same rounds. It returns the
// median of the ratios of each round: a machine that gets slower from round to round
// changes it less than the ratio of the medians. 0 means that there is none.
func ratio(over, under []float64) float64 {
	var r []float64
	for i, o := range over {
		if i < len(under) && under[i] > 0 {
			r = append(r, o/under[i])
		}
	}
	return median(r)
}

// spread returns the least and the greatest value; 0 for none.
func spread(values []float64) (least, greatest float64) {
	if len(values) == 0 {
		return 0, 0
	}
	return slices.Min(values), slices.Max(values)
}
