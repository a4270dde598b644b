package revoke_test

import (
	"testing"

	"github.com/evercache/evercache/internal/testbed"
)

func TestMain(m *testing.M) { testbed.Main(m, 10) }
