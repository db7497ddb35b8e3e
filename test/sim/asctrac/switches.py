"""What of the simulated installation can be switched, and its defaults."""

from switchable import Switchable

DEFAULTS = {
    "authentication": True,         # GWInterfaceUseAuthentication
    "token_encoding": "raw",        # or base64: what stands behind Bearer
    "token_life": 3600,             # seconds that a token of the token service is good for
    "token_status": 401,            # what the token service answers to wrong credentials
    "include_processing": False,    # GWAPIIncludeProcessingStatus: rows handed out come again until acknowledged
    "empty": "object",              # or 204, 404: how older versions say that there are no rows
    "lots_in_audit": False,         # GWExportLotIDInAudits
    "zeros_in_audit": True,         # not GWExcludeZeroQtyInAudits
    "po_missing_item": 2,           # GWPOMissingItemAction: 0 fails, 1 skips and reports, 2 makes skeletons
    "trailer_input": True,          # false: ParcelExport fails, as on sites whose setting is F
    "max_body": 4 * 1024 * 1024,    # bytes of a request
    "error_detail": False,          # MessageDetail in 404
    "utc_offset": "-05:00",         # of the server's clock
    "latency_ms": 0,                # added to every call of the interface service
    "rest_latency_ms": 0,           # added to every call of the interactive service
    "rest_overlap": "corrupt",      # what calls at the same time do to each other: corrupt, refuse, nothing
    "rest_authentication": True,    # of the trailer inspection
    "announce": {},                 # headers of answers: {regex of paths: {name: value, or a list of them}}
    "site_filter": True,            # false: the interactive service forgets whose site it answers for
}


class Settings(Switchable):
    defaults = DEFAULTS
