// Package franzgo pins the release of franz-go whose own tests the run script runs, out of the module as it was published.
package franzgo

import _ "github.com/twmb/franz-go/pkg/kgo"
