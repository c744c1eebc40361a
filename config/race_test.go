//go:build race

package config

const raceFactor = 15
