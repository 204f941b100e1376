# Washington: ESSB 6002. Nothing may be looked at that was collected at a sensitive place.
package plateward.jurisdictions.wa

import data.plateward.platform

kind := data.policy.pack.wa.kinds[input.agency.kind]

denies contains kind if kind != ""

denies contains "wa.no-other-body" if not kind

denies contains "wa.no-agreement" if {
	some _, state in input.owners
	state == "none"
	not platform.action.partner_asks
}

denies contains "wa.sensitive-place" if {
	some camera in input.cameras
	data.policy.sensitive_cameras[camera]
}

# A query of all cameras would take in those.
denies contains "wa.name-cameras" if {
	platform.action.partner
	count(data.policy.sensitive_cameras) > 0
	count(input.cameras) == 0
}
