"""The shapes of what goes over the wire: members in the order of their declaration, and a letter for the .NET type.

s string, d double, i integer, b boolean, t DateTime, l list, m dictionary, n object.  A minus before a member of an
export: declared, but never filled by this version; of an import: accepted, but not used.
"""

INTERFACE = {
    "inventory_audit": """
        FACILITY:s PRODUCT_CODE:s QUANTITY:d CW_QTY:d CW_UOM:s LOTID:s QTY_ALLOCATED:d QTY_ONHOLD:d DATE_TIME:t UOM:s
        VMI_CUSTID:s EXPDATE:t ALT_LOTID:s COST_EACH:d MFG_ID:s
    """,
    "tranfile_export": """
        SUCCESSFUL:b ERROR_MESSAGE:s CREATE_DATETIME:t FACILITY:s PRODUCT_CODE:s QUANTITY:d DATE_TIME:t TRANS_TYPE:s
        CW_QTY:d CW_UOM:s REASON_CODE:s LOTID:s -ACCT_NUM_OR_CUSTID:s -HOST_UOM:s CA_FILENAME:s ORDERNUMBER:s
        LINE_NUMBER:d EXPDATE:t VMI_CUSTID:s CUSTOM_DATA1:s CUSTOM_DATA2:s CUSTOM_DATA3:s CUSTOM_DATA4:s CUSTOM_DATA5:s
        CUSTOM_DATA6:s CUSTOM_NUM1:d CUSTOM_DATE:t REF_NUMBER:s SKIDID:s CONTAINER_ID:s WHSE_ID:s FROM_LOCATION:s
        TO_LOCATION:s PROD_LINE:s RECVDATETIME:t DATETIMEPROD:t VENDORID:s COST_CENTER_ID:s RESP_SITE_ID:s COMMENTS:s
        RECEIVER_NO:s STOCK_UOM:s USERID:s ALT_LOTID:s CATEGORY:s CATEGORY_2:s COST_EACH:d MFG_ID:s ALT_SKIDID:s
        SPLIT_ORDER_FLAG:s TRANFILE_REC_ID:d
    """,
    "po_lines_export": """
        ID:i SUCCESSFUL:b ERROR_MESSAGE:s FACILITY:s RECEIVER_NO:s LINE_NUMBER:i ORDER_TYPE:s PONUMBER:s
        VENDOR_ITEM_ID:s QTY_RECEIVED:d PRODUCT_CODE:s STATUS:s CW_QTY:d CW_UOM:s BIN_LOCATION:s PACKING_SLIP_NBR:s
        CARRIER_NAME:s LOTID:s -RECEIPT_ID:s -QTY_ON_HOLD:d CLOSED_PO_FLAG:s EXPIRED_DATE_BY_LOT:t CUSTOM_DATA1:s
        CUSTOM_DATA2:s CUSTOM_DATA3:s -CUSTOM_DATA4:s -CUSTOM_DATA5:s -CUSTOM_DATA6:s -CUSTOM_DATA7:s -CUSTOM_DATA8:s
        -CUSTOM_DATA9:s -CUSTOM_DATA10:s CUST_ID:s RECEIVED_DATE:t RELEASENUM:s CUSTOM_HDRDATA1:s CUSTOM_HDRDATA2:s
        CUSTOM_HDRDATA3:s CUSTOM_HDRDATA4:s CUSTOM_HDRDATA5:s CUSTOM_HDRDATA6:s CUSTOM_HDRDATA7:s CUSTOM_HDRDATA8:s
        RECV_OPR:s -RMA_CUSTORDERNUM:s PROD_LINE:s VENDOR_ID:s ALT_LOTID:s -CUSTOM_ORDER_TYPE:s -QTY_ORDERED:d UOM:s
        -ARRIVAL_DATE:t PROD_DATE:t
    """,
    "po_licenses_export": """
        -ID:i SUCCESSFUL:b ERROR_MESSAGE:s FACILITY:s PRODUCT_CODE:s QUANTITY:d UOM:s DATE_TIME:t TRANS_TYPE:s CW_QTY:d
        CW_UOM:s REASON_CODE:s LOTID:s -ACCT_NUM_OR_CUSTID:s -HOST_UOM:s CA_FILENAME:s ORDERNUMBER:s LINE_NUMBER:d
        EXPDATE:t VMI_CUSTID:s CUSTOM_DATA1:s CUSTOM_DATA2:s CUSTOM_DATA3:s CUSTOM_DATA4:s CUSTOM_DATA5:s CUSTOM_DATA6:s
        CUSTOM_NUM1:d CUSTOM_DATE:t REF_NUMBER:s SKIDID:s CONTAINER_ID:s WHSE_ID:s -FROM_LOCATION:s -TO_LOCATION:s
        PROD_LINE:s RECVDATETIME:t DATETIMEPROD:t VENDORID:s COST_CENTER_ID:s RESP_SITE_ID:s COMMENTS:s RECEIVER_NO:s
        STOCK_UOM:s USERID:s ALT_LOTID:s CATID:s CAT2ID:s RELEASENUM:s ALT_SKIDID:s MFG_ID:s COST_EACH:d
    """,
    "cust_order_export": """
        SUCCESSFUL:b ERROR_MESSAGE:s CREATE_DATETIME:t -FROM_FACILITY:s -TO_FACILITY:s SHIPMENT_NUMBER:s ORDER_TYPE:s
        ORDERNUMBER:s CUST_ID:s -INVOICE_DATE:t CUST_PO_NUM:s FREIGHT_COST:d PRO_NUMBER:s -DOCUMENT_TYPE:s DOC_TYPE:s
        SALESORDERNUMBER:s FACILITY:s LOCKED_FLAG:s ORDER_SOURCE:s SHIP_VIA_CODE:s USERID:s CUSTOM_ORDER_TYPE:s
        ORDER_SOURCE_SYSTEM:s CARRIER:s CARRIER_SERVICE_CODE:s CUSTOM_DATA1:s CUSTOM_DATA2:s CUSTOM_DATA3:s
        CUSTOM_DATA4:s CUSTOM_DATA5:s CUSTOM_DATA6:s CUSTOM_DATA7:s CUSTOM_DATA8:s CUSTOM_DATA9:s CUSTOM_DATA10:s
        CUSTOM_DATA11:s CUSTOM_DATA12:s PicksList:l ContainersList:l SerialsList:l
    """,
    "cust_order_export_picks": """
        CREATE_DATETIME:t SHIPMENT_NUMBER:s LINE_NUMBER:i PRODUCT_CODE:s EXT_PRICE:d QTY_ORDERED:d QTY_SHIPPED:d
        CW_QTY:d CW_UOM:s ITEM_NUMBER:s LOTID:s HOST_UOM:s PICK_OPR:s ALT_LOTID:s SOLD_PRICE:d CUSTOM_DATA1:s
        CUSTOM_DATA2:s CUSTOM_DATA3:s CUSTOM_DATA4:s CUSTOM_DATA5:s
    """,
    "cust_order_export_containers": """
        CREATE_DATETIME:t SHIPMENT_NUMBER:s CONTAINER_ID:s PALLET_TYPE:s TOTAL_WEIGHT:d
    """,
    "cust_order_export_serials": """
        CREATE_DATETIME:t ORDER_LINENUM:i SER_NUM:s ITEMID:s LOTID:s QTY:d
    """,
    "cust_order_status_export": """
        SUCCESSFUL:b ERROR_MESSAGE:s CREATE_DATETIME:t FACILITY:s ORDERNUMBER:s RESCHEDULED_FLAG:s ORDER_TYPE:s
        PICKSTATUS:s NEWDATETIME:t ORIGINALDATETIME:t CUSTOMERID:s VENDORID:s TRANSACTION_DATE:t
    """,
    "parcel_export": """
        Successful:b ErrorMessage:s CREATE_DATETIME:t FACILITY:s ORDERNUMBER:s PARCEL_NUMBER:s CARRIER:s FREIGHT_COST:d
        WEIGHT:d SHIPDATE:t CARRIER_SERVICE_CODE:s TRACKING_NUMBER:s -SWOG:s -CUST_ID:s SALESORDERNUMBER:s
        CUST_FREIGHT_COST:d USERID:s SEAL_NUMBERS:s ITEMID:s ASCITEMID:s ITEM_DESC:s LINENUMBER:d LOT_ID:s QTY:d
    """,
    "wcs_picks": """
        SITE_ID:s ASSIGNMENT_NUMBER:d TYPE_OF_PICK:s ORDERTYPE:s ORDERNUMBER:s PRIORITY:d DELIVERY_LOCATION:s
        DELIVERY_DATE:t ROUTE:s GOAL_TIME:d PICK_SEQUENCE_NO:d ITEMID:s ZONEID:s AISLE:s SLOT:s LOCATIONID:s
        LOCATION_IDENTIFIER:s LOTID:s SKIDID:s FULL_CASE:s PCE_TYPE:s NUM_EACHES_CASE:d UNIT_WIDTH:d UNIT_LENGTH:d
        UNIT_HEIGHT:d UNIT_WEIGHT:d WCS_WIDTH:d WCS_LENGTH:d WCS_HEIGHT:d WCS_WEIGHT:d QTY_TO_PICK:d -QTY_PICKED:d
        -CONTAINER_ID:s TRIGGER_A_REPLEN:s -DATETIME_PICKED:t -USERID:s INTERFACE_RACK:s INTERFACE_LEVEL:s
        INTERFACE_POSITION:s COORD_X:d COORD_Y:d -SER_NUM:s ITEM_DESCRIPTION:s EXPDATE_FIRST:t PICK_UNIT:s ITEM_UPC:s
        DIRECTED_CONTAINER_ID:s
    """,
    "item_master_import": """
        -CREATE_DATETIME:t FACILITY:s PRODUCT_CODE:s CATEGORY:s DESCRIPTION:s PROD_ALTDESC:s STD_COST:d RECEIVING_UOM:s
        PRODUCT_WEIGHT:d CW_UOM:s BASE_TO_RECV_CONV_FACTOR:d STATUS_FLAG:s -ITEM_CUSTOMDATA1:s -ITEM_CUSTOMDATA2:s
        -ITEM_CUSTOMDATA3:s UPC_CODE:s ITEM_TYPE:s UNIT1_UOM:s CONVERSION_UNIT_1:d UNIT2_UOM:s CONVERSION_UNIT_2:d
        UNIT3_UOM:s CONVERSION_UNIT_3:d UNIT4_UOM:s -CONVERSION_UNIT_4:d GTIN_CODE_1:s GTIN_CODE_2:s GTIN_CODE_3:s
        GTIN_CODE_4:s UNITWIDTH:d UNITLENGTH:d UNITHEIGHT:d UNITWEIGHT:d CATEGORY_2:s STOCK_UOM:s -BUY_UOM:s BUYER:s
        VENDORID:s SCC14:s CUBIC_PER_EACH:d ABC_ZONE:s SHELF_LIFE:d AUTO_QC_REASON:s RETAIL_PRICE:d COUNTRY_OF_ORIGIN:s
        SKID_TRACKED:s SERIAL_TRACKED:s TARE_WEIGHT:d BULK_TARE_WEIGHT:d BILL_UOM:s HAZMAT_FLAG:s LOT_FLAG:s
        LOT_PROD_FLAG:s EXPIRE_DAYS:d EXP_DATE_REQ_FLAG:s RESTOCK_QTY:d LEADTIME:d MINIMUM:d MAXIMUM:d REF_NOTES:s
        LABEL_UOM:s INHOUSE_TIME:d HOST_QTY:d FREIGHT_CLASS_CODE:s BUNDLE_SIZE:s VMI_CUSTID:s VMI_RESPID:s
        -THUMBNAIL_FILENAME:s ORGANIC_FLAG:s POST_LOT_TO_HOST_FLAG:s PKG_MATERIAL_FLAG:s MFG_ID:s VENDOR1ITEMNUM:s
        ZONEID:s ORDERMINIMUM:d MRP_SAFETY_STOCK:d TI:s HI:s -DUAL_UNIT_ITEM:s EXPIRE_DAYS_PROHIBIT:s ExtDataList:m
        NotesList:l CustomList:l
    """,
    "customer_master_import": """
        FACILITY:s CUST_ID:s CUST_NAME:s TERMS:s HOST_COMMENT:s INACTIVE_FLAG:s SHIP_ADDR_LINE1:s SHIP_ADDR_LINE2:s
        SHIP_CITY:s SHIP_STATE:s SHIP_ZIP:s SHIP_COUNTRY:s SHIP_CONTACT_NAME:s SHIP_CONTACT_TEL:s SHIP_CONTACT_FAX:s
        BILL_ADDR_LINE1:s BILL_ADDR_LINE2:s BILL_CITY:s BILL_STATE:s BILL_ZIP:s BILL_COUNTRY:s BILL_CONTACT_NAME:s
        BILL_CONTACT_TEL:s BILL_CONTACT_FAX:s STATUS_FLAG:s -TERMS_ID:s SHIP_TO_TITLE:s -BILL_TO_NAME:s ROUTE_AREAID:s
        PAST_DUE_PERIOD1:d PAST_DUE_PERIOD2:d PAST_DUE_PERIOD3:d PAST_DUE_PERIOD4:d MASTER_CUSTID:s CREDIT_RISK_RATING:s
        CREDIT_LIMIT:d OPENAMOUNT:d PROMOTION_ALLOWANCE:d PROMOTION_ALLOWANCE_CONSUMED:d CNTR_GROUP_ID:s
        PREVENT_ORGANIC_FLAG:s CUST_CATEGORY:s NotesList:l CustomList:l
    """,
    "vendor_import": """
        VENDOR_CODE:s VENDOR_DESC:s ADDR_LINE1:s ADDR_LINE2:s CITY:s STATE:s ZIP:s COUNTRY:s CONTACT_NAME:s
        CONTACT_TEL:s CONTACT_FAX:s REMIT_TO_ADDR_LINE1:s REMIT_TO_ADDR_LINE2:s REMIT_TO_CITY:s REMIT_TO_STATE:s
        REMIT_TO_ZIP:s REMIT_TO_COUNTRY:s REMIT_TO_CONTACT_NAME:s REMIT_TO_CONTACT_TEL:s REMIT_TO_CONTACT_FAX:s
        TERMS_ID:s STATUS:s MASTER_VENDORID:s ORGANIC_FLAG:s ORGANIC_REG_NUM:s AUTOCLOSEPO:s
        ENABLE_LICENSE_LEVEL_VALIDATION:s
    """,
    "lot_import": """
        -CREATE_DATETIME:t FACILITY:s LOTID:s PRODUCT_CODE:s STD_COST:d MFG_DATE:t QAHOLD:s QAREASON:s CA_FILENAME:s
        WORKORDER_ID:s LANDED_COST:d
    """,
    "cust_order_import": """
        ORDER_CREATE_DATE:t FACILITY:s ORDER_TYPE:s ORDERNUMBER:s HOST_ORDERNUMBER:s TO_FACILITY:s LEAVES_DATE:t
        ENTRY_DATE:t CARRIER:s -PAYMENT_TYPE:s SHIP_TO_NAME:s SHIP_TO_ADDR_LINE1:s SHIP_TO_ADDR_LINE2:s
        SHIP_TO_ADDR_LINE3:s SHIP_TO_CITY:s SHIP_TO_STATE:s SHIP_TO_ZIP:s SHIP_TO_COUNTRY:s SHIP_TO_CONTACT_NAME:s
        SHIP_TO_CONTACT_TEL:s SHIP_TO_CONTACT_FAX:s BILL_TO_NAME:s BILL_TO_ADDR_LINE1:s BILL_TO_ADDR_LINE2:s
        BILL_TO_ADDR_LINE3:s BILL_TO_CITY:s BILL_TO_STATE:s BILL_TO_ZIP:s BILL_TO_COUNTRY:s BILL_TO_CONTACT_NAME:s
        BILL_TO_CONTACT_TEL:s BILL_TO_CONTACT_FAX:s CUST_PO_NUM:s STATUS_FLAG:s LOAD_PLAN_NUM:s LOAD_STOP_SEQ:i
        PRIORITY_ID:d RECIPIENT_EMAIL:s BOL_NUMBER:s FREIGHT_ACCOUNT_NUMBER:s -REFERENCE_NUMBER:s SHIP_TO_CUST_ID:s
        BILL_TO_CUST_ID:s PREPAY_COLLECT:s CANCEL_DATE:t CARRIER_SERVICE_CODE:s DELIVERY_INSTRUCTIONS:s
        CUST_SHIPTO_PO_NUM:s COD_AMT:d MUST_ARRIVE_BY_DATE:t SALESPERSON:s TERMS_ID:s LINKED_PONUMBER:s
        CREDIT_HOLD_STATUS:s CLIENTDEPT:s CLIENTDIVISION:s CLIENTGLACCT:s CLIENTPROFIT:s ALLOW_SHORT_SHIP:s
        RESIDENTIAL_FLAG:s SHIP_VIA:s AREA:s ALLOW_OVER_SHIP:s SALESORDERNUMBER:s THIRDPARTYCUSTID:s THIRDPARTYNAME:s
        THIRDPARTYADDRESS1:s THIRDPARTYADDRESS2:s THIRDPARTYADDRESS3:s THIRDPARTYCITY:s THIRDPARTYSTATE:s
        THIRDPARTYZIPCODE:s THIRDPARTYCOUNTRY:s STORE_NUM:s DEPT:s PACKLIST_REQ:s DROP_SHIP:s BATCH_NUM:s ROUTEID:s
        PROMO_CODE:s CUSTORDERCAT:s FOB:s CUST_BILLTO_PO_NUM:s COMPLIANCE_LABEL:s VMI_GROUPID:s ORDER_SOURCE_SYSTEM:s
        FREIGHTBILLTONAME:s FREIGHTBILLTOCONTACT:s FREIGHTBILLTOADDRESS1:s FREIGHTBILLTOADDRESS2:s
        FREIGHTBILLTOADDRESS3:s FREIGHTBILLTOADDRESS4:s FREIGHTBILLTOCITY:s FREIGHTBILLTOSTATE:s FREIGHTBILLTOZIPCODE:s
        FREIGHTBILLTOCOUNTRY:s FREIGHTBILLTOTELEPHONE:s FREIGHTBILLTOALTTEL:s FREIGHTBILLTOFAX:s DetailList:l
        CustomList:l NotesList:l
    """,
    "cust_order_import_lines": """
        -CREATE_DATETIME:t LINE_NUMBER:i HOST_LINE_NUMBER:i PRODUCT_CODE:s QUANTITY:d COMMENT:s COSTEACH:d STATUS_FLAG:s
        HOST_UOM:s REQUESTED_LOT:s CLIENTDEPT:s CLIENTDIVISION:s CLIENTGLACCT:s CLIENTPROFIT:s SHIPDESC:s CUST_ITEMID:s
        SOLD_PRICE:d QTYBACKORDERED:d COUNTRY_OF_DESTINATION:s CustomList:l NotesList:l
    """,
    "po_import": """
        FACILITY:s ORDER_TYPE:s PONUMBER:s HOST_PONUMBER:s VENDOR_CODE:s -TO_FACILITY:s ARRIVAL_DATE:t ENTRY_DATE:t
        CARRIER:s DELIVERY_INSTRUCTIONS:s ADDR_LINE1:s ADDR_LINE2:s CITY:s STATE:s ZIP:s COUNTRY:s CONTACT_NAME:s
        CONTACT_TEL:s STATUS_FLAG:s RMA_TYPE:s LINKED_ORDERNUMBER:s BUYER_CODE_ID:s ADDR_LINE3:s TERMS_ID:s RELEASENUM:s
        REQ_NUM:s BILL_ADDR_LINE1:s BILL_ADDR_LINE2:s BILL_ADDR_LINE3:s -BILL_CITY_LINE3:s BILL_CITY:s BILL_STATE:s
        BILL_ZIP:s BILL_COUNTRY:s BILL_CONTACT_NAME:s BILL_CONTACT_TEL:s DIRECT_SHIP_ORDERNUMBER:s SHIP_TO_NAME:s
        BILL_TO_NAME:s SEAL_NUM:s VMI_CUSTID:s PROMO_CODE:s PODetList:l CustomList:l NotesList:l
    """,
    "po_import_lines": """
        LINE_NUMBER:i VENDOR_ITEM_ID:s PRODUCT_CODE:s QUANTITY:d EXPECTED_RECEIPT_DATE:t COMMENT:s COSTEACH:d -CW_UOM:s
        STATUS_FLAG:s -UPC_CODE:s -ITEM_DESCRIPTION:s LOTID:s UOM:s BUY_TO_STOCK_CONV_FACTOR:d DIRECT_SHIP_ORDERNUMBER:s
        LINKED_ORDERNUMBER:s -SKIDID:s SERIAL_NUM:s PROMO_CODE:s -RELEASENUM:s EXPECTED_SHIP_DATE:t USER_REQUIRED_DATE:t
        ORIG_ORDERNUMBER:s CW_QTY:d VEND_PRODLINE:s QC_REASON:s ALT_LOTID:s HOST_LINENUMBER:d PROJECT_NUMBER:s
        NotesList:l CustomList:l
    """,
    "asn_import": """
        CREATE_DATETIME:t FACILITY:s ASN:s PONUMBER:s TRUCKNUM:s FROM_FACILITY:s REF_ORDERNUMBER:s
        EXPECTED_RECEIPT_DATE:t VENDORID:s PACKINGSLIP:s ASN_TYPE:s DetailList:l
    """,
    "asn_import_lines": """
        ITEMID:s LOTID:s SKIDID:s QUANTITY:d EXPIRE_DATE:t PONUMBER:s RELEASENUM:s LINENUMBER:d VMI_CUSTID:s
        ACTUAL_WEIGHT:d CW_QTY:d -VENDORID:s CONTAINER_ID:s PALLET_TYPE:s DATETIMEPROD:t ALT_SKIDID:s ALT_LOTID:s
        CustomList:l
    """,
    "controlled_count_import": """
        COUNTID:i DESCRIPTION:s SCHED_START_DATE:t SCHED_END_DATE:t FACILITY:s COUNT_TYPE:s USERLEVELNUMBER:i
        DetailList:l
    """,
    "controlled_count_import_lines": """
        FIELDNAME:s FILTER_TYPE:s START_VALUE:s END_VALUE:s FUNCTIONID:s GROUP_SEQ:i
    """,
    "qc_hold_import": """
        datetime:t Transaction:s Add_Reason_Code:s Remove_Reason_Code:s User_ID:s Facility:s Product_Code:s
        VMI_Cust_ID:s -Expiration_Date:t Lot_ID:s Alt_Lot_ID:s Workorder_ID:s Recv_PO_Num:s Receiver_ID:s License_ID:s
        RecvDateTime:t Host_String_ID:s -Hold_Ref_Num:i Hold_Comments:s MafNum:i Inventory_Custom_Data1:s
        Inventory_Custom_Data2:s Inventory_Custom_Data3:s Exception_Message:s
    """,
    "cust_order_confirm_ship": """
        aOrderNumber:s
    """,
}

# What the interactive service answers with.
INTERACTIVE = {
    "InvType": """
        SkidID:s LotID:s WorkOrderID:s InvContainerID:s LocationID:s ItemID:s ItemDescription:s StockUOM:s QAHold:b
        QAReason:s QtyTotal:d QtyDualUnit:d ExpireDate:t DateTimeProd:t PhysAdj:d PhysLoc:s PhysCountStatus:s
        PhysCountDatetime:t PhysCountUserID:s successful:b ReturnMessage:s
    """,
    "InvCountType": """
        invRecord:n NewLocationID:s suggLocationID:s NewQtyTotal:d fAskQtyDualUnit:b NewQtyDualUnit:d lblPrinterID:s
        qtyLbls:i AdjReason:s Comments:s CostCenter:s fAskCostCenter:b ResponsibleSiteID:s fAskResponsibleSiteID:b
        ProjectNumber:s fAskProjectNumber:b fPassword:s successful:b ReturnMessage:s
    """,
    "InvHistoryType": """
        TranDateTime:t LocationID:s QtyTotal:d Notes:s successful:b ReturnMessage:s
    """,
    "BOMAvailType": """
        ItemID:s Description:s StockUOM:s PurOrMfgFlag:s QtyCanBuild:d QtyNeeded:d QtyTotal:d QtyPicked:d QtyOnHold:d
        QtyHardAlloc:d QtyRequired:d QtyScheduled:d QtyAvail:d QtyNotReq:d QtyNotSched:d QtyOnOrder:d AvailStatus:s
    """,
    "PhysCountLocType": """
        LocationID:s Status:s numSkids:i numVars:i numMoves:i numRecounts:i CountedDateTime:t ReviewFlag:s
        ReviewUserID:s ReviewDateTime:t successful:b ReturnMessage:s
    """,
    "ReplenLocType": """
        LocationID:s LocationDesc:s RestockPoint:d RestockQty:d QtyToPick:d ItemID:s ItemDesc:s PickLocID:s
    """,
    "ReplenSummType": """
        ZoneID:s ZoneDesc:s LocTotal:i LocShort:i QtyShort:d
    """,
    "DockType": """
        ReturnMessage:s OrderNumber:s SchedID:s OrderType:s OrderTypeDesc:s CustID:s CustName:s Dock:s CarrierID:s
        PickStatus:s PickStatus_Description:s Sched_Datetime:t requiredShipDate:t Duration:i Percent_Complete:d
        FGStatusColor:s BGStatusColor:s FGOrderTypeColor:s BGOrderTypeColor:s newDock:s newCarrierID:s newPickStatus:s
        newSched_Datetime:t newDuration:i CustIDAndName:s
    """,
    "CustOrderInfoType": """
        OrderNumber:s OrderType:s OrderTypeDesc:s CustID:s CustName:s Dock:s CarrierID:s PickStatus:s
        PickStatus_Description:s Sched_Datetime:t requiredShipDate:t Duration:i SchedPickerID:s TruckAvail:s
        PickToLocID:s TrailerID:s fNeedSignature:b FGStatusColor:s BGStatusColor:s FGOrderTypeColor:s BGOrderTypeColor:s
        CustIDAndName:s DetailXMLInfo:s
    """,
    "COSMType": """
        StatusID:s StatusDesc:s numOrders:i QtyTotal:d QtyCompleted:d QtyLeft:d
    """,
    "COSchedInfoType": """
        OrderType:s OrderNumber:s CurrStatus:s CurrStatusDesc:s PickStatus:s SchedPickerID:s SchedPickerUserLevelID:s
        TruckAvail:s PickToLocID:s CurrSchedDateTime:t SchedDateTime:t Priority:s SidNum:s LPNPalletType:s
        PicklistPrinterID:s CancelReason:s AllowShortShip:b AllowOverShip:b PickToTote:b PickToToteVisible:b RecalcPCE:b
        RecalcPicks:b TrailerID:s TrailerType:s Dock:s LoadUnloadedInventory:b EstDuration:i Duration:i CarrierID:s
        CarrierServiceID:s RouteID:s ShipotoDC:s Driver:s CustomDrop1:s CustomDrop2:s CustomDrop3:s ShipViaID:s
        FreightBillCode:s ProNumber:s LoadplanNumber:s LoadplanStopNumber:i ApptDateTime:t ArrivalDateTime:t
        AtDoorDateTime:t SchedDepartDateTime:t noteList:n shipmentItemsList:n
    """,
    "COSchedItemsType": """
        ItemID:s Description:s qtyOnOrder:d qtyAssigned:d qtyFilled:d qtyNeeded:d StockUOM:s
    """,
    "OrderContainerLookupInfo": """
        successful:b ReturnMessage:s OrderNumber:s ContainerID:s ASNContainerID:s OrderStatusDesc:s
        ContainerStatusDesc:s CreateDate:t CreateUserID:s
    """,
    "ConfReceiptType": """
        OrderType:s PONumber:s ReleaseNum:s ReceiverID:s VendorID:s VendorName:s ExpectedDate:s Status:s
        Status_Description:s Percent_Complete:d ShipVia:s CarrierID:s OnTimeFlag:b TrailerNum:s SealNum:s
        SealIntactFlag:b WhseReceiptNumber:s ProNum:s DamageFlag:b DocumentsFlag:b PrintTallyReportFlag:b
        numWoodPallets:i numChepPallets:i numIGPSPallets:i numMiscPallets:i palletLogInfo:n fees3PLList:n
        lookupRates3PLList:n CustomDataList:n PODetailInfo:s
    """,
    "Fees3PLType": """
        ID:s Code:s Description:s Qty:d Fee:d TotalFee:d Notes:s fChanged:b
    """,
    "PalletLogInfoType": """
        WhseID:s palletTypeList:n
    """,
    "TrailerInspectionHeader": """
        fSuccessful:b fWarning:b fWarningOverride:b ErrorMessage:s WarningMessage:s fInspectType:s fInspectSetupID:s
        fIDTYPE:s ShipmentID:s InspectionID:s fGroupType:s fGroupTypeDesc:s fGroupID:s askForWeight:s TrailerNum:n
        TrailerType:n LoadingBay:n TareWeight:n myList:n myImageList:n
    """,
    "TrailerInspectionDetail": """
        inspectIdx:i fPrompt:s fType:s fReqFlag:b fCanImage:b AnswerList:n isAnswerList:b isNotAnswerList:b fAnswer:s
        IsAnswer1:b IsAnswer2:b IsAnswer3:b IsAnswer4:b
    """,
    "WOHdrType": """
        qtyFmtStr:s ReturnMessage:s Workorder_ID:s OldWorkorder_ID:s WOType:s Prod_ItemID:s Description:s Prodline:s
        Status:s Status_Description:s Sched_Datetime:t OrigSched_Datetime:t SchedDate:t SchedTime:t SchedEndDateTime:t
        Duration:i numSkidsMade:i QtyToMake:d QtyMade:d strQtyToMake:s strQtyMade:s UOM:s fEntryMethod:s
        Percent_Complete:d FGStatusColor:s BGStatusColor:s MinCompDate:t ExpDate:t DateNeeded:t EstRunTime:i
        ItemAssetflag:b AssetID:s fCanEditLotID:b LotID:s PickPriority:s ReasonCode:s entryList:n RoutingSeqList:n
        AvailInventoryList:n
    """,
    "NoteType": """
        noteTypeDesc:s noteType:s seqNum:i note:s
    """,
    "FieldEntry": """
        DisplayLabel:s FieldName:s EntryFlag:s OrigValue:s newValue:s Readonly:b Visible:b
    """,
    "FieldEntryDouble": """
        DisplayLabel:s EntryFlag:s OrigValue:d newValue:d Readonly:b Visible:b
    """,
    "FieldEntryLong": """
        DisplayLabel:s EntryFlag:s OrigValue:i newValue:i Readonly:b Visible:b
    """,
    "LOCITEMS": """
        SKIDID:s QTYTOTAL:d QTYONHOLD:d LOCATIONID:s EXPDATE:t ITEMID:s LOTID:s REASONFORHOLD:s DATETIMEPROD:t
        PREALLOC_ORDERNUMBER:s PREALLOC_WORKORDER_ID:s PROMO_CODE:s REBLEND_FLAG:s TYPE:s PICKABLE_FLAG:s
        PICK_ASSIGNMENT_FLAG:s DESCRIPTION:s
    """,
    "ORDRDET": """
        LINENUMBER:i ITEMID:s DESCRIPTION:s QTYORDERED:d QTYPICKED:d QTYLOADED:d ORDERFILLED:s PICK_LOCATION:s
        PCE_TYPE:s
    """,
}


def members(text):
    """[(name, letter, filled)] of one shape."""
    found = []
    for word in text.split():
        name, kind = word.lstrip("-").split(":")
        found.append((name, kind, not word.startswith("-")))
    return found


SHAPES = {name: members(text) for shapes in (INTERFACE, INTERACTIVE) for name, text in shapes.items()}
