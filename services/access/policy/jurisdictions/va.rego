# Virginia: Code 2.2-5517. Three purposes, and nobody outside of the state.
package plateward.jurisdictions.va

import data.plateward.platform

kind := data.policy.pack.va.kinds[input.agency.kind]

denies contains kind if kind != ""

denies contains "va.no-other-body" if not kind

denies contains "va.no-agreement" if {
	some _, state in input.owners
	state == "none"
	not platform.action.partner_asks
}

denies contains "va.three-purposes" if {
	data.policy.offences[input.purpose.offence]
	not counted
}

# A rule of its own: the engines differ on a reference inside of "not" that leads nowhere.
counted if data.policy.pack.va.uses[data.policy.offences[input.purpose.offence].uses.va]
