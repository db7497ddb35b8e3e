"""The values the generator draws from: plain ones, and those that break readers."""

FIRST = ["Ada", "Grace", "Edsger", "Barbara", "José", "Zoë", "Łukasz", "Siobhán", "Björk", "Nguyễn", "太郎", "Олег"]
LAST = ["Lovelace", "O'Hara", "van der Berg", "Smith", "smith", "Müller", "Žižek", "D'Angelo", "山田", "Иванов",
        "Ångström", "McDonald"]
FIRMS = ["Acme", "acme", "Globex", "Initech", "Ümlaut Söhne", "Nakatomi", "Stark & Sons", "Zebra", "apple", "Åkerlund",
         "HMRC", "Ñandú", "O'Brien", "École", "echo", "Echo", "\"Quoted\" Goods", "50% Off"]
FORMS = ["Inc.", "GmbH", "Ltd", "S.A.", "株式会社", "LLC", "AG & Co. KG"]
THINGS = ["Widget", "widget", "Gear", "Bracket", "Flange", "Über-Schraube", "Motor", "Valve", "Hose 1\"", "O-Ring",
          "Café Mug", "Pallet", "Sensor", "T-Shirt"]
PLACES = ["San Francisco", "London", "Zürich", "Kraków", "東京", "São Paulo", "Austin", "Reykjavík"]
COUNTRIES = ["US", "GB", "CH", "PL", "JP", "BR", "DE", "IS"]
STATES = ["CA", "TX", "NY", None]

LONG = ("Long text with every kind of line: " + "All work and no play makes Jack a dull boy.\r\n" * 60
        + "\tFin — ende — 終わり.")

HOSTILE = [
    "O'Brien said \"no\"", "back\\slash \\n is not a newline", "tab\there", "line one\nline two\r\nline three",
    " leading and trailing ", "100% of _everything_", "'; DROP TABLE item; --", "NULL", "null", "\\N",
    "{\"json\": [1, 2]}",
    "emoji 😀 and 👩‍🚀", "日本語のテキスト", "עברית مرحبا", "combining e\u0301 and é", "\u2028separator\u2029",
    "control \x01 and \x7f", "<b>html &amp; &lt;entities&gt;</b>", "T", "F", "0", "-1", "1e5", ".5", "a" * 255,
    "ﬁne ligature ß SS ı İ i I K k", "comma, semicolon; pipe|", "ends with backslash\\",
]

PLAIN = ["net 30", "priority", "fragile", "hand over to Ms. Lovelace", "second floor", "see contract", "as agreed",
         "call before delivery", "sample", "Sample", "SAMPLE"]

NUMBERS = ["0", ".5", "-.25", "1", "-1", "12.34", "1000", "99999.99", "0.1", "3.14159265358979", "1234567890123.45",
           "0.000001", "-0.75", "100", "7", "42", "2.50", "123456789012345678901234567890.12"]

CURRENCIES = [("US Dollar", "USD", "$"), ("British Pound", "GBP", "£"), ("Canadian Dollar", "CAD", "$"),
              ("Euro", "EUR", "€"), ("Japanese Yen", "JPY", "¥"), ("Swiss Franc", "CHF", "CHF")]

ACCOUNT_TYPES = [("Bank", "Bank"), ("AcctRec", "Accounts Receivable"), ("OthCurrAsset", "Other Current Asset"),
                 ("FixedAsset", "Fixed Asset"), ("AcctPay", "Accounts Payable"), ("CredCard", "Credit Card"),
                 ("OthCurrLiab", "Other Current Liability"), ("LongTermLiab", "Long Term Liability"),
                 ("Equity", "Equity"), ("Income", "Income"), ("COGS", "Cost of Goods Sold"), ("Expense", "Expense"),
                 ("OthIncome", "Other Income"), ("OthExpense", "Other Expense"), ("NonPosting", "Non Posting")]

ITEM_TYPES = ["InvtPart", "InvtPart", "InvtPart", "Assembly", "Kit", "NonInvtPart", "Service", "OthCharge"]

# By type: REST record type, name, letters of status.
TRANSACTION_TYPES = {
    "SalesOrd": ("salesorder", "Sales Order", {"A": "Pending Approval", "B": "Pending Fulfillment", "C": "Cancelled",
                                               "D": "Partially Fulfilled", "E": "Pending Billing/Partially Fulfilled",
                                               "F": "Pending Billing", "G": "Billed", "H": "Closed"}),
    "ItemShip": ("itemfulfillment", "Item Fulfillment", {"A": "Picked", "B": "Packed", "C": "Shipped"}),
    "CustInvc": ("invoice", "Invoice", {"A": "Open", "B": "Paid In Full", "V": "Voided"}),
    "CustCred": ("creditmemo", "Credit Memo", {"A": "Open", "B": "Fully Applied"}),
    "CustPymt": ("customerpayment", "Payment", {"B": "Not Deposited", "C": "Deposited"}),
    "RtnAuth": ("returnauthorization", "Return Authorization", {"B": "Pending Receipt", "D": "Partially Received",
                                                                "E": "Pending Refund/Partially Received",
                                                                "F": "Pending Refund", "G": "Refunded", "H": "Closed"}),
    "PurchOrd": ("purchaseorder", "Purchase Order", {"A": "Pending Supervisor Approval", "B": "Pending Receipt",
                                                     "D": "Partially Received",
                                                     "E": "Pending Billing/Partially Received",
                                                     "F": "Pending Bill", "G": "Fully Billed", "H": "Closed"}),
    "ItemRcpt": ("itemreceipt", "Item Receipt", {"Y": "Received"}),
    "VendBill": ("vendorbill", "Bill", {"A": "Open", "B": "Paid In Full"}),
    "TrnfrOrd": ("transferorder", "Transfer Order", {"B": "Pending Fulfillment", "F": "Pending Receipt",
                                                     "G": "Received", "H": "Closed"}),
    "InvAdjst": ("inventoryadjustment", "Inventory Adjustment", {}),
    "Journal": ("journalentry", "Journal", {"A": "Pending Approval", "B": "Approved for Posting"}),
}

# script id, table that gets the column, value type as shown, kind
CUSTOM_FIELDS = [
    ("custitem_sim_color", "item", "Free-Form Text", "text"),
    ("custitem_sim_notes", "item", "Long Text", "text"),
    ("custitem_sim_area", "item", "Text Area", "text"),
    ("custitem_sim_shelf_days", "item", "Integer Number", "integer"),
    ("custitem_sim_density", "item", "Decimal Number", "number"),
    ("custitem_sim_deposit", "item", "Currency", "number"),
    ("custitem_sim_waste", "item", "Percent", "number"),
    ("custitem_sim_hazardous", "item", "Check Box", "boolean"),
    ("custitem_sim_approved_on", "item", "Date", "date"),
    ("custitem_sim_measured_at", "item", "Date/Time", "datetime"),
    ("custitem_sim_buyer", "item", "List/Record", "integer"),
    ("custitem_sim_markets", "item", "Multiple Select", "text"),
    ("custitem_sim_image", "item", "Image", "integer"),
    ("custitem_sim_sheet", "item", "Hyperlink", "text"),
    ("custitem_sim_markup", "item", "Rich Text", "text"),
    ("custbody_sim_route", "transaction", "Free-Form Text", "text"),
    ("custbody_sim_dock_at", "transaction", "Date/Time", "datetime"),
    ("custbody_sim_dock_on", "transaction", "Date", "date"),
    ("custbody_sim_pickup_time", "transaction", "Time Of Day", "text"),
    ("custbody_sim_urgent", "transaction", "Check Box", "boolean"),
    ("custbody_sim_weight", "transaction", "Decimal Number", "number"),
    ("custbody_sim_boxes", "transaction", "Integer Number", "integer"),
    ("custbody_sim_carrier", "transaction", "List/Record", "integer"),
    ("custcol_sim_lot_note", "transactionline", "Free-Form Text", "text"),
    ("custcol_sim_grade", "transactionline", "Integer Number", "integer"),
    ("custcol_sim_checked", "transactionline", "Check Box", "boolean"),
    ("custentity_sim_mail", "customer", "Email Address", "text"),
    ("custentity_sim_phone", "customer", "Phone Number", "text"),
    ("custentity_sim_rating", "customer", "Decimal Number", "number"),
    ("custentity_sim_since", "customer", "Date", "date"),
    ("custentity_sim_vip", "customer", "Check Box", "boolean"),
    ("custentity_sim_rating", "vendor", "Decimal Number", "number"),
    ("custentity_sim_since", "vendor", "Date", "date"),
]
