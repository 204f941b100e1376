# New Hampshire: RSA 261:75-b. Nine purposes; what matched nothing is gone after three minutes.
package plateward.jurisdictions.nh

import data.plateward.platform

kind := data.policy.pack.nh.kinds[input.agency.kind]

denies contains kind if kind != ""

denies contains "nh.no-other-body" if not kind

denies contains "nh.no-agreement" if {
	some _, state in input.owners
	state == "none"
	not platform.action.partner_asks
}

denies contains "nh.listed-purpose" if {
	data.policy.offences[input.purpose.offence]
	not counted
}

# A rule of its own: the engines differ on a reference inside of "not" that leads nowhere.
counted if data.policy.pack.nh.uses[data.policy.offences[input.purpose.offence].uses.nh]

denies contains "nh.no-canvass" if input.action == "ACTION_CANVASS"
