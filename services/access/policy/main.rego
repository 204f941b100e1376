# One decision out of all packages. Nothing is open by default: what no rule allows is denied.
package plateward.main

import data.plateward.agency
import data.plateward.jurisdictions.ca
import data.plateward.jurisdictions.nh
import data.plateward.jurisdictions.va
import data.plateward.jurisdictions.wa
import data.plateward.obligations
import data.plateward.platform

# The clauses that deny, of every package that applies.
denies contains clause if some clause in platform.denies

denies contains clause if some clause in agency.denies

denies contains clause if {
	data.policy.packs.ca
	some clause in ca.denies
}

denies contains clause if {
	data.policy.packs.va
	some clause in va.denies
}

denies contains clause if {
	data.policy.packs.wa
	some clause in wa.denies
}

denies contains clause if {
	data.policy.packs.nh
	some clause in nh.denies
}

grounds contains clause if some clause in platform.grounds

grounds contains clause if some clause in agency.grounds

grounds contains clause if {
	data.policy.packs.ca
	some clause in ca.grounds
}

# The clause of the lowest order is named. Orders are two digits as text: the engines sort numbers of different length apart.
ranked := sort([[data.policy.clauses[clause].order, clause] | some clause in denies])

named := ranked[0][1]

decision := {
	"effect": "deny",
	"rule": named,
	"message": data.policy.clauses[named].text,
	"grounds": sort(denies),
	"obligations": {"second_approver": obligations.second_approver},
	"version": data.policy.version,
} if {
	count(denies) > 0
} else := {
	"effect": "allow",
	"rule": "platform.allowed",
	"message": "",
	"grounds": sort(grounds),
	"obligations": obligations.all,
	"version": data.policy.version,
} if {
	platform.known_action
	count(denies) == 0
} else := {
	"effect": "deny",
	"rule": "platform.default-deny",
	"message": data.policy.clauses["platform.default-deny"].text,
	"grounds": ["platform.default-deny"],
	"obligations": {"second_approver": false},
	"version": data.policy.version,
}
