package guide_test

import (
	"context"
	"fmt"
	"log"

	"github.com/evercache/evercache"
)

// docs/guide/inspect.md
func Example_inspect() {
	ctx := context.Background()
	client := open()
	defer client.Close()

	products, err := evercache.NewCache[Product](client, "inspected", evercache.Policy{})
	if err != nil {
		log.Fatal(err)
	}
	found, err := products.Inspect(ctx, 100) // at most 100 entries
	fmt.Println(found.Checked, found.Wrong, err)
	// Output: 0 0 <nil>
}
