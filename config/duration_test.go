package config

import "testing"

// TestADurationOutOfBoundsSaysHowItWasRead: 100 is a hundred seconds, and was meant
// as milliseconds.
func TestADurationOutOfBoundsSaysHowItWasRead(t *testing.T) {
	expectLines(t, refuse(t, "EVERCACHE_READ_TIMEOUT=100"),
		`EVERCACHE_READ_TIMEOUT: "100" is out of bounds: a number without a unit is seconds, so it was read as 1m40s; give a duration from 1ms to 1m; for milliseconds write 100ms`)
	expectLines(t, refuse(t, "EVERCACHE_READ_TIMEOUT=999999"),
		`EVERCACHE_READ_TIMEOUT: "999999" is out of bounds: a number without a unit is seconds, so it was read as 277h46m39s; give a duration from 1ms to 1m`)
	expectLines(t, refuse(t, "EVERCACHE_READ_TIMEOUT=100s"),
		`EVERCACHE_READ_TIMEOUT: "100s" is out of bounds; give a duration from 1ms to 1m`)
	expectLines(t, refuse(t, "EVERCACHE_READ_TIMEOUT=9999999h"),
		`EVERCACHE_READ_TIMEOUT: "9999999h" is out of bounds; give a duration from 1ms to 1m`)
}
