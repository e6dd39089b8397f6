-- Who left a cart or a checkout open, recently enough to be reminded of it. Overlapping: a checkout starts from a cart.
with metrics as (

    select * from {{ ref('int_user_metrics') }}

),

final as (

    select
        as_of_date,
        user_id,

        -- Today's cart may still be bought, so a reminder waits a day; after a week the wish is gone, or met elsewhere.
        days_since_abandoned_cart is not null
        and days_since_abandoned_cart between 1 and 7 as cart_abandoner,

        -- The same week as for carts, so that the two can be compared; what differs is the reason for leaving.
        days_since_abandoned_checkout is not null
        and days_since_abandoned_checkout between 1 and 7 as checkout_abandoner
    from metrics

)

select * from final
