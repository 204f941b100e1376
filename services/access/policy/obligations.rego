# What the store must add to the query: whose reads, how far back, how many.
package plateward.obligations

most_rows := 200

all := {
	"agency_ids": sort({owner | input.owners[owner] != "none"}),
	"camera_ids": input.camera_limit,
	"keep_seconds": window,
	"max_rows": most_rows,
	"masked_fields": [],
}

# Written out: the engines do not order numbers of different length alike inside of min() and sort().
window := input.agreement_window_s if {
	input.agreement_window_s < data.policy.keep_seconds
} else := data.policy.keep_seconds
