"""What comes in: one object a request, upserts and actions, and the reasons they are refused for."""


class Reason(Exception):
    """Why an import failed."""


# controller: name in messages, shape
IMPORTS = {
    "itemmasterimport": ("ItemMaster", "item_master_import"),
    "customermasterimport": ("CustomerMaster", "customer_master_import"),
    "vendorimport": ("Vendor", "vendor_import"),
    "lotimport": ("Lot", "lot_import"),
    "custorderimport": ("CustOrder", "cust_order_import"),
    "poimport": ("PO", "po_import"),
    "asnimport": ("ASN", "asn_import"),
    "controlledcount": ("ControlledCount", "controlled_count_import"),
    "qchold": ("QCHold", "qc_hold_import"),
}


class Imports:
    def __init__(self, house, settings):
        self.house = house
        self.settings = settings

    def store(self, name, body, entry):
        raise Reason("not here yet")

    def confirm_ship(self, number):
        return "Error confirm shipping order " + number
